// A service that does, in a few requests, everything that Afterspan has a span or a metric for and that needs no broker.
const http = require('node:http')
const { safeHandler, runTask, track } = require('afterspan')

const inner = http.createServer((request, response) => response.end('inner'))
const routes = {
  '/works': () => runTask('works', () => fetch(`http://127.0.0.1:${inner.address().port}/?token=hidden`)),
  '/asks': () =>
    new Promise((resolve) => http.get({ port: inner.address().port }, (r) => r.resume().on('end', resolve))),
  '/throws': () => {
    throw new TypeError('no such thing')
  },
  '/breaks': () => {
    void track('breaks', Promise.reject(new RangeError('after the answer')))
  },
  '/hangs': () => {
    void track('hangs', new Promise(() => {}))
  },
  '/crash': () => {
    setTimeout(() => {
      throw new Error('of a request')
    })
  },
}
const handle = safeHandler(async (request, response) => {
  await routes[request.url.split('?')[0]]?.()
  response.end('ok')
})
const server = http.createServer((request, response) => void handle(request, response))
inner.listen(0, '127.0.0.1', () => {
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
})
