const { safeHandler } = require('afterspan')
const express = require('express')
const { later, listening, reject, traceHere } = require('./here.cjs')

module.exports = async function start(fastify) {
  const app = fastify({ logger: false })
  // As @fastify/express does it.
  const within = express().use(
    '/within',
    express.Router().get('/:id', (_, response) => response.send('within')),
  )
  app.addHook('onRequest', (request, reply, done) => {
    if (request.url.startsWith('/within/')) within(request.raw, reply.raw, done)
    else done()
  })
  app.register(
    async (api) => {
      api.addHook('preHandler', async () => {})
      api.register(
        async (orders) => {
          orders.get('/:id', async (request) => {
            await later(Number(request.query.ms ?? 0))
            return { trace: traceHere() }
          })
        },
        { prefix: '/orders' },
      )
    },
    { prefix: '/api/:tenant' },
  )
  app.get('/gone/:id', (request, reply) => reply.callNotFound())
  app.get('/guarded/:id', { onRequest: async (request, reply) => reply.code(401).send() }, async () => 'never')
  app.get('/files/*', async () => 'file')
  app.post('/echo', async (request) => ({ got: request.body, trace: traceHere() }))
  app.get('/throws', () => {
    throw new TypeError('no such thing')
  })
  app.get('/safe', safeHandler(reject))
  app.get('/rejects', async () => {
    await later(1)
    throw new TypeError('no such thing')
  })
  app.register(async (guarded) => {
    guarded.addHook('onRequest', async () => {
      throw new TypeError('no such thing')
    })
    guarded.setErrorHandler((error, request, reply) => reply.code(500).send({ hidden: true }))
    guarded.get('/swallowed', async () => 'never')
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  listening(app.server)
}
