import { errorMonitor, type EventEmitter } from 'node:events'
import { replaceMethod } from '../instrument/replace-method.ts'

type GetReader = (this: any, ...args: any[]) => unknown

/** What a body that is a stream of Node, a stream of the web or a Response breaks by, once it is read. It is read as if nobody looked. */
export function whenBroken(body: unknown, onError: (error: unknown) => void): void {
  if (body === null || typeof body !== 'object') return
  try {
    const { once } = body as Partial<EventEmitter>
    if (typeof once === 'function') once.call(body, errorMonitor, onError)
    else replaceMethod(streamOf(body), 'getReader', (getReader) => watched(getReader, onError))
  } catch {
    // it is frozen, or has a getter of its own
  }
}

/** Of a stream of the web only its reader hears, and there can be no second one. */
function watched(getReader: GetReader, onError: (error: unknown) => void): GetReader {
  return function (this: unknown, ...args: unknown[]) {
    const reader = getReader.apply(this, args) as { readonly closed?: unknown }
    if (reader.closed instanceof Promise) reader.closed.then(undefined, onError)
    return reader
  }
}

function streamOf(body: object): object | undefined {
  if ('getReader' in body) return body
  const { body: inner } = body as { readonly body?: unknown }
  return typeof inner === 'object' && inner !== null && 'getReader' in inner ? inner : undefined
}
