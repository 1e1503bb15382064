// metricsHandler() in the servers of other frameworks, as docs/prometheus/README.md tells it.
const { metricsHandler } = require('afterspan')
const metrics = metricsHandler()

const started = {
  async express() {
    const app = require('express')()
    app.use('/metrics', metrics)
    const server = app.listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    return server.address().port
  },
  async fastify() {
    const app = require('fastify')()
    app.get('/metrics', (request, reply) => {
      reply.hijack()
      metrics(request.raw, reply.raw)
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return app.server.address().port
  },
  async koa() {
    const app = new (require('koa'))()
    app.use((context) => {
      context.respond = false
      metrics(context.req, context.res)
    })
    const server = app.listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    return server.address().port
  },
  async hapi() {
    const server = require('@hapi/hapi').server({ port: 0, host: '127.0.0.1' })
    server.route({
      method: 'GET',
      path: '/metrics',
      handler: (request, h) => {
        metrics(request.raw.req, request.raw.res)
        return h.abandon
      },
    })
    await server.start()
    return server.info.port
  },
  async hono() {
    const { Hono } = require('hono')
    const { serve } = require('@hono/node-server')
    const { RESPONSE_ALREADY_SENT } = require('@hono/node-server/utils/response')
    const app = new Hono()
    app.get('/metrics', (context) => {
      metrics(context.env.incoming, context.env.outgoing)
      return RESPONSE_ALREADY_SENT
    })
    return new Promise((resolve) =>
      serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resolve(port)),
    )
  },
}

void Promise.all(Object.entries(started).map(async ([name, start]) => `${name}=${await start()}`)).then((all) =>
  console.log(`ports ${all.join(' ')}`),
)
