const { Readable } = require('node:stream')
const { listening } = require('./here.cjs')

const app = require('fastify')({ logger: false })
app.get('/breaks/:id', (request, reply) => {
  const body = new Readable({ read() {} })
  body.push('the first half')
  setTimeout(() => body.destroy(new TypeError('no such thing')), 20)
  return reply.send(body)
})
// Of the web, which says to its reader alone what it breaks by.
app.get('/breaks-of-the-web/:id', () => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('the first half'))
      setTimeout(() => controller.error(new TypeError('no such thing')), 20)
    },
  })
  return new Response(body)
})
void app.listen({ port: 0, host: '127.0.0.1' }).then(() => listening(app.server))
