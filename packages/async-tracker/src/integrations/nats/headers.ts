// Message headers are the carrier's place, and it stays in them.
import type { Carrier } from '@afterspan/core/internal'
import type { Bag } from '../sending/bag.ts'
import type { Headers, HeadersClass } from './shapes.ts'

let Class: HeadersClass | null | undefined
const FILE = /[\\/](?:nats-core[\\/]lib|nats-base-client)[\\/]headers\.js$/

/** The client's own class: publish() takes no other, and it lies in a package below, which is loaded before anything can be published. */
function classOf(): HeadersClass | null {
  if (Class === undefined) Class = findClass() ?? null
  return Class
}

function findClass(): HeadersClass | undefined {
  for (const [file, module] of Object.entries(require.cache)) {
    if (!FILE.test(file)) continue
    const { MsgHdrsImpl } = (module?.exports ?? {}) as { readonly MsgHdrsImpl?: HeadersClass }
    if (MsgHdrsImpl) return MsgHdrsImpl
  }
  return undefined
}

export function canCarry(given: unknown): boolean {
  return classOf() !== null && (given === undefined || given === null || isHeaders(given))
}

/** A copy of what the caller gave with the carrier in it. The app's own words for the same names give way: they name the request, and this names the task. */
export function withCarrier(given: Headers | undefined, { fields }: Bag): Headers | undefined {
  const names = Object.entries(fields)
  if (!Class || names.length === 0) return given
  const headers = given ? new Class(given.code, given.description) : new Class()
  for (const [name, values] of given ?? []) for (const value of values) headers.append(name, value)
  for (const [name, value] of names) headers.set(name, String(value))
  return headers
}

export function headersCarrier(headers: Headers | undefined): Carrier {
  return {
    get: (key) => headers?.get(key) || undefined,
    set() {},
  }
}

function isHeaders(given: unknown): given is Headers {
  const { append, get, set } = given as Partial<Headers>
  return [append, get, set].every((method) => typeof method === 'function') && Symbol.iterator in Object(given)
}
