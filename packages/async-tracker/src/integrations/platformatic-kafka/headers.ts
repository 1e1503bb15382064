// Headers are a map or an object here, and their names and values go through the app's own serializers: what is put beside them has to
// be what those take. Without serializers everything is bytes.
import type { Carrier } from '@afterspan/core/internal'
import { textOf } from '../kafka/headers.ts'
import { isObject, type Bag, type Fields } from '../sending/bag.ts'
import type { Message, Producer } from './shapes.ts'

type Serialize = (text: string) => unknown
interface Serializers {
  readonly name: Serialize
  readonly value: Serialize
}

export function withHeaders<M extends Message>(message: M, { fields }: Bag, producer: Producer): M {
  const { name, value } = serializersOf(producer)
  const headers = new Map<unknown, unknown>(
    message.headers instanceof Map ? message.headers : Object.entries(message.headers ?? {}),
  )
  for (const known of headers.keys()) if (Object.hasOwn(fields, textOf(known) ?? '')) headers.delete(known)
  for (const [key, text] of Object.entries(fields)) headers.set(name(key), value(text as string))
  return { ...message, headers }
}

/** Names are bytes where the consumer has no deserializers, and no two buffers are the same key. */
export function headersCarrier(headers: ReadonlyMap<unknown, unknown> | undefined): Carrier {
  const known = new Map<string, string>()
  for (const [name, value] of headers ?? []) {
    const [key, text] = [textOf(name), textOf(value)]
    if (key !== undefined && text !== undefined && !known.has(key)) known.set(key, text)
  }
  return { get: (key) => known.get(key), set() {} }
}

const known = new WeakMap<Producer, Serializers>()

function serializersOf(producer: Producer): Serializers {
  let found = known.get(producer)
  if (!found) {
    const options = optionsOf(producer)
    const registry = options['registry'] as { getSerializers?(): unknown } | undefined
    const serializers = registry?.getSerializers?.() ?? options['serializers']
    const { headerKey, headerValue } = isObject(serializers) ? serializers : {}
    found = { name: inputOf(headerKey), value: inputOf(headerValue) }
    known.set(producer, found)
  }
  return found
}

function inputOf(serializer: unknown): Serialize {
  return typeof serializer === 'function' ? (text) => text : (text) => Buffer.from(text)
}

/** The options of a client are kept under a symbol that the library does not export. */
function optionsOf(producer: Producer): Fields {
  for (const symbol of Object.getOwnPropertySymbols(producer)) {
    const options: unknown = symbol.description?.endsWith('.options') && producer[symbol as never]
    if (isObject(options)) return options
  }
  return {}
}
