// Serves as AdonisJS does, by the channels that @adonisjs/http-server 9.3 has.
const { tracingChannel } = require('node:diagnostics_channel')
const http = require('node:http')

const requests = tracingChannel('adonisjs.http.request')
const handlers = tracingChannel('adonisjs.http.route.handler')
const middleware = tracingChannel('adonisjs.http.middleware')

async function handle(ctx) {
  const { url } = ctx.request.request
  if (url === '/nowhere') return 404
  const run = () => {
    ctx.route = { pattern: url.replace(/\d+$/, ':id') }
    return handlers.tracePromise(throwsIfAsked, { route: ctx.route }, undefined, url)
  }
  try {
    await middleware.tracePromise(run, { middleware: {} })
    return 200
  } catch {
    return 500
  }
}

async function throwsIfAsked(url) {
  await Promise.resolve()
  if (url.startsWith('/throws')) throw new TypeError('no such thing')
}

const server = http.createServer((req, res) => {
  const ctx = { request: { request: req } }
  void requests.tracePromise(handle, { ctx }, undefined, ctx).then((status) => res.writeHead(status).end())
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
