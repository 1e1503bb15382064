const { safeHandler } = require('afterspan')
const { later, listening, reject, traceHere } = require('./here.cjs')

module.exports = function start(express) {
  const app = express()
  const orders = express.Router({ mergeParams: true })
  orders.get('/:id', async (req, res) => {
    await later(Number(req.query.ms ?? 0))
    res.json({ trace: traceHere() })
  })
  const api = express.Router({ mergeParams: true })
  api.use((req, res, next) => next())
  api.use('/orders', orders)
  app.use('/api/:tenant', api)
  app.use('/v2/:tenant/orders', orders)
  app.get(['/either/:id', '/or/:id/it'], (req, res) => res.end())
  const guarded = express.Router()
  guarded.use((req, res) => res.status(401).end())
  app.use('/guarded', guarded)
  app.get('/handed-on/:id', (req, res, next) => next())
  app.get('/handed-on/7', (req, res) => res.end())
  const shop = express()
  shop.get('/orders/:id', (req, res, next) => next())
  app.use('/shop/:name', shop)
  app.use('/shop', (req, res) => res.status(403).end())
  app.post('/echo', express.json(), (req, res) => {
    res.json({ got: req.body, trace: traceHere() })
  })
  const fail = (req, res, next) => {
    next(new TypeError('no such thing'))
  }
  app.get('/throws', () => {
    throw new TypeError('no such thing')
  })
  app.get(
    '/safe',
    safeHandler(async (_req, _res) => reject()),
  )
  app.get('/rejects', async (req, res, next) => {
    await later(1)
    fail(req, res, next)
  })
  app.get('/swallowed', fail, (error, req, res, _next) => {
    res.status(500).json({ hidden: true })
  })
  app.use((error, req, res, _next) => {
    res.status(500).end('Internal Server Error')
  })
  const server = app.listen(0, '127.0.0.1', () => listening(server))
}
