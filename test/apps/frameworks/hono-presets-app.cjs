const { listening } = require('./here.cjs')

/** The same app on each of the small presets. */
module.exports = function start(presets, serve) {
  for (const Hono of presets) {
    const orders = new Hono()
    orders.get('/:id', (context) => context.json({}))
    const app = new Hono()
    app.use(async (context, next) => next())
    app.route('/api/:tenant/orders', orders)
    app.get('/rejects', async () => {
      throw new TypeError('no such thing')
    })
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => listening(server))
  }
}
