import type { SpanData } from './span-data.ts'

/** Errors of the platform have a number for a code (DOMException), and instrumentations take the code for the type. */
const NAMES: Readonly<Record<string, string>> = { 20: 'AbortError', 23: 'TimeoutError' }

/** Calls an aborted fetch, and one that took too long, by the names that people know them by. */
export function namePlatformErrors({ attributes, events }: SpanData): void {
  rename(attributes, 'error.type')
  for (const { name, attributes: of } of events ?? []) if (name === 'exception' && of) rename(of, 'exception.type')
}

function rename(attributes: SpanData['attributes'], key: string): void {
  const known = NAMES[String(attributes[key])]
  if (known !== undefined) attributes[key] = known
}
