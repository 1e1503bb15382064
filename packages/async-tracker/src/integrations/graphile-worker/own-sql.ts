// What Graphile Worker itself asks of the database: that is told by the calls that it asks for. The mark is one of the process, since the
// client of PostgreSQL is another's bundle.
import { context, type Context } from '@opentelemetry/api'

const OWN = Symbol.for('afterspan.graphile-worker.asks')

export function asItsOwn(from: Context = context.active()): Context {
  return from.setValue(OWN, true)
}
export function isItsOwn(): boolean {
  return context.active().getValue(OWN) === true
}
