// The app's own metrics, by its own use of @opentelemetry/api: every legal name, unit and attribute, and what should never be done.
const http = require('node:http')
const { metrics } = require(process.env.OTEL_API)

const meter = metrics.getMeter('app', '1.0')
const other = metrics.getMeter('other')

meter.createCounter('orders.placed', { unit: '{order}', description: 'A "quoted" \\ text\nof two lines' }).add(3)
meter.createCounter('a.b').add(1, { 'x.y': '1', x_y: '2', 'x-y': '0' })
meter.createCounter('a_b').add(2, { 'x.y': '1', x_y: '2', 'x-y': '0' })
other.createCounter('a.b').add(5)
meter.createCounter('1abc').add(1, { '1st': 'v', le: 'x', ключ: 'значение "q" \\ \n', '': 'empty', __name__: 'evil' })
meter.createCounter('счётчик').add(1)
meter.createHistogram('lat', { unit: 'ms' }).record(2, { le: 'a' })
meter.createHistogram('lat', { unit: 'ms' }).record(2, { le: 'b' })
meter.createGauge('lat_milliseconds_count').record(1)
meter.createGauge('speed', { unit: 'By/s' }).record(NaN, { s: '\ud800' })
meter.createGauge('share', { unit: '1' }).record(-Infinity)
meter.createUpDownCounter('lat').add(-4)

// By mistake, in JavaScript: no name, no text, nothing to sort.
meter.createCounter(undefined).add(1)
meter.createGauge(null, { description: Symbol('x'), unit: 5 }).record(1)
meter.createHistogram('bounds', { advice: { explicitBucketBoundaries: [1, NaN, 1, Infinity, 2] } }).record(1)
meter.createHistogram('unbounded', { advice: { explicitBucketBoundaries: 'x' } }).record(1)

const circle = {}
circle.circle = circle
const spoiled = meter.createCounter('spoiled')
spoiled.add(NaN)
spoiled.add(1, { big: 10n })
spoiled.add(1, circle)
spoiled.add(1)
meter.createObservableGauge('throws').addCallback(() => {
  throw new Error('boom')
})
meter.createObservableGauge('hangs').addCallback(() => new Promise(() => {}))
meter.createObservableCounter('negative').addCallback((result) => result.observe(-1))
meter.createObservableGauge('fine').addCallback((result) => result.observe(7))

const users = meter.createCounter('users')
for (let i = 0; i < 10_000; i++) users.add(1, { user: `user-${i}` })

/** The loop stands still, and what is thrown away needs collecting. */
function block() {
  const until = Date.now() + 300
  let kept = []
  while (Date.now() < until) kept = kept.length > 1000 ? [] : [...kept, { text: `${Date.now()}` }]
}
const waited = meter.createHistogram('waited', { unit: 's', advice: { explicitBucketBoundaries: [1, 10] } })
const server = http.createServer((request, response) => {
  waited.record(2, { of: 'a request' })
  if (request.url === '/block') block()
  response.end('ok')
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
