// A service with meters of its own.
const http = require('node:http')

module.exports = ({ metrics }) => {
  const meter = metrics.getMeter('shop', '1.2')
  const orders = meter.createCounter('orders', { unit: '{order}' })
  const price = meter.createHistogram('price', { unit: 'EUR' })
  meter.createObservableGauge('stock').addCallback((result) => result.observe(7, { shelf: 3 }))
  const server = http.createServer((req, res) => {
    if (req.url === '/exit') process.exit(3)
    if (req.url === '/crash') return void setImmediate(() => null.nothing)
    orders.add(2, { kind: 'book', express: true })
    price.record(12.5)
    res.end()
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
