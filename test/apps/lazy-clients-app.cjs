// The first request that asks opens the connection; the second asks by it for what is refused, and waits for nothing.
const { createServer } = require('node:http')

module.exports = ({ Redis, port }) => {
  let client
  const asked = {
    first: () => client.set('text', 'no number'),
    second: () => client.incr('text'),
  }
  process.on('unhandledRejection', ({ message }) => console.log(`caught ${message}`))
  const server = createServer((req, res) => {
    res.end('ok')
    client ??= new Redis({ port, host: '127.0.0.1' })
    void asked[req.url.slice(1)]?.()
  }).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
