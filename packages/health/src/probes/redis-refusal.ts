// Why no client of a Redis is connected, by what the clients heard last.
import type { ProbeResult } from '@afterspan/core/internal'
import { publicCode } from '../codes.ts'
import { scrub } from '../scrub.ts'
import { sick, type Observed } from './redis-round-trip.ts'

/** A server that turns the client away says so in a word of its own: WRONGPASS, NOAUTH. The network's errors are the client's to mend. */
export function notConnected(error: unknown, observed: Observed): ProbeResult {
  const reason = 'no client is connected'
  if (!(error instanceof Error)) return sick('not_connected', reason, observed)
  const { message } = error
  const word = /^([A-Z]{2,20})\b/.exec(message)?.[1]
  const isRefusal = word !== undefined && word !== 'ERR' && publicCode(word) === word
  const code = isRefusal
    ? word
    : message.startsWith('ERR max number of clients')
      ? 'too_many_connections'
      : 'not_connected'
  return sick(code, `${reason}: ${scrub(message)}`, observed)
}
