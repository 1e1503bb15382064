// Spans and metrics by an older copy of the API than Afterspan's.
const { metrics, trace } = require('opentelemetry-api-1.9')
const { createServer } = require('node:http')

const server = createServer((request, response) => {
  metrics.getMeter('app').createCounter('app.asked').add(1)
  trace.getTracer('app').startActiveSpan('own', (span) => {
    span.end()
    response.end(span.spanContext().traceId)
  })
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
