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
  return sick(refusalWord(message) ?? 'not_connected', `${reason}: ${scrub(message)}`, observed)
}

/** The word of a server's own, as a code of the table. */
export function refusalWord(message: string): string | undefined {
  const word = /^([A-Z]{2,20})\b/.exec(message)?.[1]
  if (word !== undefined && word !== 'ERR' && publicCode(word) === word) return word
  return message.startsWith('ERR max number of clients') ? 'too_many_connections' : undefined
}
