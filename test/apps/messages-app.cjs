// A web service with a Map for a broker, and a consumer of it, in one file: ROLE says which. Nobody knows their queue; they make
// spans of it with the OpenTelemetry API alone. The messages do what they say.
const { createServer, get } = require('node:http')

module.exports = function start(api) {
  if (process.env.ROLE === 'worker') void work(api)
  else serve(api)
}

function serve({ context, propagation, trace, SpanKind, SpanStatusCode }) {
  const broker = new Map()
  let lastId = 0
  const tracer = trace.getTracer('shop')
  const send = (how, isLate) => {
    const about = {
      'messaging.system': 'map',
      'messaging.destination.name': 'mail',
      'messaging.operation.type': 'send',
    }
    const span = tracer.startSpan('send mail', { kind: SpanKind.PRODUCER, ...(isLate ? {} : { attributes: about }) })
    if (isLate) span.setAttributes(about)
    const headers = {}
    propagation.inject(trace.setSpan(context.active(), span), headers)
    if (how === 'refused') {
      span.recordException(new RangeError('the broker is full'))
      span.setStatus({ code: SpanStatusCode.ERROR, message: 'the broker is full' })
    } else {
      const id = String(++lastId)
      broker.set(id, { id, how, headers })
      span.setAttribute('messaging.message.id', id)
    }
    span.end()
  }
  const onWire = {
    // A message stays until it is acknowledged.
    next: () => [...broker.values()],
    ack: (id) => broker.delete(id),
  }
  const queue = createServer((req, res) => {
    const [, act, id] = req.url.split('/')
    res.end(JSON.stringify(onWire[act](id)))
  }).listen(0, '127.0.0.1', () => {
    console.log(`broker http://127.0.0.1:${queue.address().port}`)
    const server = createServer((req, res) => {
      const [, how, isLate] = req.url.split('/')
      for (const each of how.split('+')) send(each, isLate !== undefined)
      res.end('ok')
    }).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
  })
}

function ask(path) {
  return new Promise((resolve, reject) => {
    get(process.env.BROKER + path, (res) => {
      let text = ''
      res.on('data', (chunk) => (text += chunk))
      res.on('end', () => resolve(JSON.parse(text)))
    }).on('error', reject)
  })
}

/** With LINKED, everything that is there in one CONSUMER span, which links to it. */
async function work({ context, propagation, trace, ROOT_CONTEXT, SpanKind, SpanStatusCode }) {
  const tracer = trace.getTracer('shop')
  console.log('ready')
  for (;;) {
    const fetched = tracer.startSpan('receive mail', {
      kind: SpanKind.CONSUMER,
      attributes: { 'messaging.system': 'map' },
    })
    const messages = await ask('/next')
    fetched.end()
    if (messages.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    for (const batch of process.env.LINKED ? [messages] : messages.map((message) => [message])) {
      if (batch.length === 0) continue
      const contexts = batch.map(({ headers }) => propagation.extract(ROOT_CONTEXT, headers))
      const links = contexts.map((each) => ({ context: trace.getSpanContext(each) }))
      const older = { 'messaging.system': 'map', 'messaging.destination': 'mail', 'messaging.operation': 'process' }
      const attributes = { ...older, 'messaging.message_id': batch[0].id }
      const parent = process.env.LINKED ? ROOT_CONTEXT : contexts[0]
      const options = { kind: SpanKind.CONSUMER, attributes, ...(process.env.LINKED ? { links } : {}) }
      const span = tracer.startSpan('mail process', options, parent)
      await context.with(trace.setSpan(parent, span), run, undefined, batch[0].how, tracer, SpanKind).catch((error) => {
        span.recordException(error)
        span.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
      })
      span.end()
      for (const { id } of batch) await ask(`/ack/${id}`)
    }
  }
}

async function run(how, tracer, SpanKind) {
  console.log(`message ${how}`)
  if (how === 'dies' && !process.env.FAST) process.kill(process.pid, 'SIGKILL')
  if (how === 'fails') throw new TypeError('the mail server said no')
  if (how === 'spawns') tracer.startSpan('send bills', { kind: SpanKind.PRODUCER }).end()
}
