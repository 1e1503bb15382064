// BullMQ, with a telemetry of the app's own that makes the spans which bullmq-otel makes; queue and worker in one process.
const { createServer } = require('node:http')
const { context, propagation, trace, ROOT_CONTEXT } = require('@opentelemetry/api')
const { Queue, Worker } = require('bullmq')

const wrap = (span) => ({
  span,
  setAttribute: (key, value) => void span.setAttribute(key, value),
  setAttributes: (all) => void span.setAttributes(all),
  addEvent: (name, attributes) => void span.addEvent(name, attributes),
  recordException: (error) => void span.recordException(error),
  setSpanOnContext: (to) => trace.setSpan(to, span),
  end: () => span.end(),
})
const tracer = trace.getTracer('jobs')
const telemetry = {
  tracer: { startSpan: (name, options, parent) => wrap(tracer.startSpan(name, options, parent)) },
  contextManager: {
    with: (active, fn) => context.with(active, fn),
    active: () => context.active(),
    getMetadata(from) {
      const carrier = {}
      propagation.inject(from, carrier)
      return JSON.stringify(carrier)
    },
    fromMetadata: (active, metadata) => propagation.extract(active ?? ROOT_CONTEXT, JSON.parse(metadata)),
  },
}
const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }
const queue = new Queue('mail', { connection, telemetry })
const worker = new Worker('mail', async ({ data }) => console.log(`job ${data.to}`), { connection, telemetry })
const server = createServer((req, res) => {
  void queue.add('welcome', { to: 'ann' }).then(() => res.end('ok'))
})
void worker.waitUntilReady().then(() => {
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
})
