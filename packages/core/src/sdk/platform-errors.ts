import { OUT_OF_TIME } from '../tasks/aborted.ts'
import type { SpanData } from './span-data.ts'

/** Errors of the platform have a number for a code (DOMException), and instrumentations take the code for the type. Those of axios have the last one. */
const NAMES: Readonly<Record<string, string>> = { 20: 'AbortError', 23: 'TimeoutError', ERR_CANCELED: 'AbortError' }

/** Calls an aborted fetch, and one that took too long, by the names that people know them by. */
export function namePlatformErrors({ attributes, events, status }: SpanData): void {
  rename(attributes, 'error.type', status?.message)
  for (const { name, attributes: of } of events ?? [])
    if (name === 'exception' && of) rename(of, 'exception.type', of['exception.message'])
}

function rename(attributes: SpanData['attributes'], key: string, message: unknown): void {
  const known = NAMES[String(attributes[key])]
  if (known !== undefined) attributes[key] = message === OUT_OF_TIME ? 'TimeoutError' : known
}
