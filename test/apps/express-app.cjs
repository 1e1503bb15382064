// Shared by the CommonJS and the ESM form of the app: what differs is only how express was loaded.

module.exports = function start(express) {
  const app = express()
  const orders = express.Router({ mergeParams: true })
  orders.get('/:id', (req, res) => {
    res.json({ id: req.params.id })
  })
  app.use('/api/:tenant/orders', orders)
  app.get('/throws', () => {
    throw new TypeError('no such thing')
  })
  app.get('/late-fetch', (req, res) => {
    res.send('ok')
    setTimeout(() => {
      fetch(`http://127.0.0.1:${process.env.CLOSED_PORT}/hook`, { method: 'POST' }).catch(() => {})
    }, 10)
  })
  app.get('/late-throw', (req, res) => {
    res.send('ok')
    setTimeout(() => {
      throw new RangeError('after the answer')
    }, 10)
  })
  app.get('/late-reject', (req, res) => {
    res.send('ok')
    void Promise.resolve().then(() => {
      throw new Error('nobody awaits this')
    })
  })
  app.get('/hangs', () => {
    console.log('hanging')
  })
  app.get('/exit', () => {
    process.exit(3)
  })
  const server = app.listen(0, '127.0.0.1', () => {
    console.log(`listening ${server.address().port}`)
  })
  if (process.env.CLOSE_ON_SIGTERM) process.on('SIGTERM', () => server.close(() => process.exit(0)))
  return server
}
