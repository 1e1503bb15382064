// A framework that makes spans by the API, as Next.js does: each request is told a second time, and its page by the spans below.
const http = require('node:http')
const { context, propagation, ROOT_CONTEXT, SpanKind, trace } = require('@opentelemetry/api')

const tracer = trace.getTracer('framework')
const told = (page) => tracer.startSpan('find page', { attributes: { 'next.route': page } }).end()

/** As is written everywhere, and by Next.js once more after it has put a span of its own into the headers. */
function again(req, res) {
  const carried = propagation.extract(ROOT_CONTEXT, req.headers)
  tracer.startActiveSpan('first', { kind: SpanKind.SERVER }, carried, (first) => {
    propagation.inject(context.active(), req.headers)
    first.end()
  })
  const written = propagation.extract(ROOT_CONTEXT, req.headers)
  tracer.startActiveSpan('second', { kind: SpanKind.SERVER }, written, (second) => {
    told('/again/[id]')
    const error = new TypeError('no such thing')
    second.recordException(error)
    console.error(error)
    second.end()
    res.writeHead(500).end()
  })
}

const server = http.createServer((req, res) => {
  if (req.url === '/again/7') return again(req, res)
  const outer = trace.getActiveSpan()
  tracer.startActiveSpan(req.method, { kind: SpanKind.SERVER }, (span) => {
    if (req.url === '/put/7') outer.setAttribute('http.route', '/put/:id')
    if (req.url === '/nowhere') {
      told('/_not-found')
      res.statusCode = 404
    }
    if (req.url === '/pages/7') {
      told('/pages/[id]')
      told('/_error')
      try {
        throw new TypeError('no such thing')
      } catch (error) {
        span.recordException(error)
        console.error(error)
      }
      res.statusCode = 500
    }
    // Too late: the response has ended.
    res.on('close', () => setImmediate(() => span.setAttribute('http.route', '/late').end()))
    res.end()
  })
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
