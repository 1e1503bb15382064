const { safeHandler } = require('afterspan')
const { later, listening, reject, traceHere } = require('./here.cjs')

module.exports = function start(Hono, serve) {
  const app = new Hono()
  app.use(async (context, next) => next())
  const orders = new Hono()
  orders.get('/:id', async (context) => {
    await later(Number(context.req.query('ms') ?? 0))
    return context.json({ trace: traceHere() })
  })
  const api = new Hono().basePath('/:tenant')
  api.use('/orders/*', async (context, next) => next())
  api.route('/orders', orders)
  app.route('/api', api)
  app.use('/guarded/*', async (context) => context.text('', 401))
  app.get('/guarded/:id', (context) => context.text('never'))
  app.all('/any/:id', (context) => context.text('any'))
  app.get('/files/*', async (context, next) => (context.req.path.endsWith('.txt') ? context.text('file') : next()))
  app.post('/echo', async (context) => context.json({ got: await context.req.json(), trace: traceHere() }))
  app.get('/throws', () => {
    throw new TypeError('no such thing')
  })
  app.get('/safe', safeHandler(reject))
  app.get('/rejects', async () => {
    await later(1)
    throw new TypeError('no such thing')
  })
  const guarded = new Hono()
  guarded.onError((error, context) => context.json({ hidden: true }, 500))
  guarded.get('/', () => {
    throw new TypeError('no such thing')
  })
  app.route('/swallowed', guarded)
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => listening(server))
}
