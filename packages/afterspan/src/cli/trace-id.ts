import { UsageError } from './command.ts'

/** A whole traceparent or traceresponse is understood too. */
export function traceIdIn(given: string): string {
  const text = given.toLowerCase()
  const traceId = /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(text)?.[1] ?? text
  if (/^[0-9a-f]{32}$/.test(traceId)) return traceId
  throw new UsageError(`${JSON.stringify(given)} is not a trace id: 32 hex characters`)
}
