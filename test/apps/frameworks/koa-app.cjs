const { safeHandler } = require('afterspan')
const { later, listening, reject, traceHere } = require('./here.cjs')

module.exports = function start(Koa, Router) {
  const app = new Koa()
  app.silent = true
  app.use(async (context, next) => {
    if (context.path !== '/swallowed') return next()
    try {
      await next()
    } catch {
      context.status = 500
      context.body = { hidden: true }
    }
  })
  const orders = new Router()
  orders.get('/:id', async (context) => {
    await later(Number(context.query.ms ?? 0))
    context.body = { trace: traceHere() }
  })
  const api = new Router({ prefix: '/api/:tenant' })
  api.use(async (context, next) => next())
  api.use('/orders', orders.routes(), orders.allowedMethods())
  const guarded = new Router({ prefix: '/guarded' })
  guarded.use((context) => {
    context.status = 401
  })
  guarded.get('/:id', () => {})
  app.use(guarded.routes())
  const root = new Router()
  root.get('/files/{*path}', (context) => {
    context.body = 'file'
  })
  root.post('/echo', async (context) => {
    let text = ''
    for await (const chunk of context.req) text += chunk
    context.body = { got: JSON.parse(text), trace: traceHere() }
  })
  root.get('/throws', () => {
    throw new TypeError('no such thing')
  })
  root.get('/safe', safeHandler(reject))
  root.get(['/rejects', '/swallowed'], async () => {
    await later(1)
    throw new TypeError('no such thing')
  })
  app.use(api.routes()).use(root.routes()).use(root.allowedMethods())
  // As koa-mount does it: within the call of a router that has nothing for this path.
  const inner = new Router().get('/files/:id', (context) => {
    context.body = 'mounted'
  })
  const dispatch = inner.routes()
  app.use(async (context, next) => {
    const { path } = context
    if (!path.startsWith('/mounted/')) return next()
    context.mountPath = '/mounted'
    context.path = path.slice('/mounted'.length)
    await dispatch(context, next)
    context.path = path
  })
  const server = app.listen(0, '127.0.0.1', () => listening(server))
}
