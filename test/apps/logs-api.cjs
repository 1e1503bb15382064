// Says log records by OpenTelemetry's own API, and by the package that it was before it came into the API.
const http = require('node:http')
const { logs, SeverityNumber } = require('@opentelemetry/api')

const logger = logs.getLogger('shop', '1.2')
const older = globalThis[Symbol.for('io.opentelemetry.js.api.logs')]?.(1).getLogger('older')
const server = http.createServer((req, res) => {
  if (req.url === '/crash') return void setImmediate(() => null.nothing)
  const circle = {}
  circle.self = circle
  setImmediate(() => {
    logger.emit({
      severityNumber: SeverityNumber.WARN,
      severityText: 'WARN',
      eventName: 'order.late',
      body: { items: [1, 'two'], late: true },
      attributes: { 'order.id': 'o-1', weight: 1.5, long: 'x'.repeat(100), more: 1 },
      exception: new TypeError('no such thing'),
    })
    logger.emit({ body: 'a circle', attributes: { circle } })
    older?.emit({ body: 'said the older way' })
    res.end()
  })
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
