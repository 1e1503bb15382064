// What an app without any OpenTelemetry of its own can say of where it is.
const API = Symbol.for('opentelemetry.js.api.1')
const SPAN = Symbol.for('OpenTelemetry Context Key SPAN')

/** The trace that is active at this point of the app; '' for none. */
exports.traceHere = () => globalThis[API]?.context.active().getValue(SPAN)?.spanContext().traceId ?? ''

exports.later = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

exports.reject = async () => {
  throw new TypeError('no such thing')
}

exports.listening = (server) => {
  console.log(`listening ${server.address().port}`)
}
