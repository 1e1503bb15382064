const { safeHandler } = require('afterspan')
const { later, listening, reject, traceHere } = require('./here.cjs')

module.exports = async function start(makeServer) {
  const server = makeServer({ port: 0, host: '127.0.0.1', debug: false })
  const orders = {
    name: 'orders',
    register(plugin) {
      plugin.ext('onPreHandler', (request, h) => h.continue)
      plugin.route({
        method: 'GET',
        path: '/orders/{id}',
        async handler(request) {
          await later(Number(request.query.ms ?? 0))
          return { trace: traceHere() }
        },
      })
    },
  }
  await server.register(orders, { routes: { prefix: '/api/{tenant}' } })
  server.route({ method: 'GET', path: '/files/{path*}', handler: () => 'file' })
  server.route({ method: '*', path: '/any/{id}', handler: (request, h) => h.response().code(403) })
  server.route({ method: 'GET', path: '/safe', handler: safeHandler(reject) })
  server.route({ method: 'POST', path: '/echo', handler: (request) => ({ got: request.payload, trace: traceHere() }) })
  server.route({
    method: 'GET',
    path: '/throws',
    handler() {
      throw new TypeError('no such thing')
    },
  })
  server.route({
    method: 'GET',
    path: '/rejects',
    async handler() {
      await later(1)
      throw new TypeError('no such thing')
    },
  })
  server.route({
    method: 'GET',
    path: '/swallowed',
    options: { ext: { onPreResponse: { method: (request, h) => h.response({ hidden: true }).code(500) } } },
    handler() {
      throw new TypeError('no such thing')
    },
  })
  await server.start()
  listening(server.listener)
}
