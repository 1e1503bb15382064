module.exports = function start({ serve, Hono, stream, streamSSE, streamText }) {
  const app = new Hono()
  const breaks = async (body) => {
    await body.write('the first half')
    throw new TypeError('no such thing')
  }
  app.get('/breaks-of-the-web/:id', () => {
    const start = (controller) => {
      controller.enqueue(Buffer.from('the first half'))
      setTimeout(() => controller.error(new TypeError('no such thing')), 20)
    }
    return new Response(new ReadableStream({ start }))
  })
  app.get('/breaks/:id', (c) => stream(c, breaks))
  app.get('/breaks-as-text/:id', (c) => streamText(c, breaks))
  app.get('/breaks-as-events/:id', (c) => streamSSE(c, breaks))
  app.get('/is-told/:id', (c) => stream(c, breaks, (error, body) => body.write('sorry')))
  serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => console.log(`listening ${port}`))
}
