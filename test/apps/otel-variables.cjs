// An app that calls itself, and uses OpenTelemetry's API for a span of its own.
const { createServer, get } = require('node:http')
const { SpanStatusCode, trace } = require('@opentelemetry/api')

const server = createServer((request, response) => {
  if (request.url.startsWith('/called')) {
    response.end(JSON.stringify(request.headers))
    return
  }
  const tracer = trace.getTracer('app')
  tracer.startActiveSpan(
    'own',
    { links: [{ context: trace.getActiveSpan()?.spanContext() ?? NOBODY, attributes: many() }] },
    (span) => {
      span.setAttributes(many())
      span.setAttribute('long', 'x'.repeat(100))
      span.addEvent('first').addEvent('second', many())
      span.setStatus({ code: SpanStatusCode.OK })
      span.end()
    },
  )
  get(`http://127.0.0.1:${server.address().port}/called`, (called) => called.pipe(response))
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))

const NOBODY = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }
function many() {
  return Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`attribute${i}`, i]))
}
