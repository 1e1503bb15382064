// The trace context among a message's own attributes: as the official instrumentation has it, where there is room. Pure.
import { createBag, isObject, type Bag, type Fields } from '../sending/bag.ts'

const MOST_ATTRIBUTES = 10
/** A message, or a batch, may be as long as one of these; a context more would be too long. */
const LONGEST = [256 * 1024, 1024 * 1024]
const CONTEXT_BYTES = 1_024
const CARRIED = ['traceparent', 'tracestate', 'baggage'] as const

/** Whether an entry of a call can take the context along; else it is found by its id. */
export function canCarry(entry: Fields, entries: readonly Fields[]): boolean {
  const { MessageAttributes: own } = entry
  if (isObject(own) && (Object.keys(own).length >= MOST_ATTRIBUTES || 'traceparent' in own)) return false
  const bytes = entries.reduce(
    (sum, { MessageBody: body }) => sum + (typeof body === 'string' ? Buffer.byteLength(body) : 0),
    0,
  )
  return !LONGEST.some((most) => bytes <= most && bytes + entries.length * CONTEXT_BYTES > most)
}

/** A copy of the entry with the context in it. */
export function withContext(entry: Fields, bag: Bag): Fields {
  const attributes: Fields = { ...(entry['MessageAttributes'] as object | undefined) }
  for (const name of CARRIED) {
    const value = bag.get(name)
    if (value && !(name in attributes) && Object.keys(attributes).length < MOST_ATTRIBUTES)
      attributes[name] = { DataType: 'String', StringValue: value }
  }
  return { ...entry, MessageAttributes: attributes }
}

/** What a received message carries. */
export function contextOf({ MessageAttributes: attributes }: Fields): Bag {
  const bag = createBag()
  if (!isObject(attributes)) return bag
  for (const name of CARRIED) {
    const attribute = attributes[name]
    const value = isObject(attribute) ? attribute['StringValue'] : undefined
    if (typeof value === 'string') bag.set(name, value)
  }
  return bag
}

const COUNT = 'ApproximateReceiveCount'
const SOURCE = 'DeadLetterQueueSourceArn'

/** What a receive must ask for, and what of it the app has not. */
export interface Asked {
  readonly input: Fields
  /** Leaves a message as the app would have it. */
  clean(message: Fields): void
}

export function askedFor(input: Fields): Asked {
  const names = namesIn(input['MessageAttributeNames'])
  const own = input['MessageSystemAttributeNames'] === undefined ? 'AttributeNames' : 'MessageSystemAttributeNames'
  const system = [...namesIn(input['AttributeNames']), ...namesIn(input['MessageSystemAttributeNames'])]
  const moreNames = covers(names, '.*') ? [] : CARRIED.filter((name) => !covers(names, name))
  const moreSystem = [COUNT, SOURCE].filter((name) => !system.includes('All') && !system.includes(name))
  return {
    input: {
      ...input,
      ...(moreNames.length > 0 ? { MessageAttributeNames: [...names, ...moreNames] } : {}),
      ...(moreSystem.length > 0 ? { [own]: [...namesIn(input[own]), ...moreSystem] } : {}),
    },
    clean(message) {
      remove(message, 'MessageAttributes', moreNames)
      remove(message, 'Attributes', moreSystem)
    },
  }
}

/** How often it was received, this time included; 0 where that is not told. */
export function receivedTimes({ Attributes: attributes }: Fields): number {
  return isObject(attributes) ? Number(attributes[COUNT]) || 0 : 0
}

/** It was moved here by the queue of another name, where it had failed too often. */
export function isDeadLetter({ Attributes: attributes }: Fields): boolean {
  return isObject(attributes) && typeof attributes[SOURCE] === 'string'
}

function namesIn(names: unknown): readonly string[] {
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
}

function covers(names: readonly string[], name: string): boolean {
  return names.some(
    (one) => one === 'All' || one === '.*' || one === name || (one.endsWith('.*') && name.startsWith(one.slice(0, -2))),
  )
}

function remove(message: Fields, field: string, names: readonly string[]): void {
  const held = message[field]
  if (!isObject(held) || names.length === 0) return
  for (const name of names) delete held[name]
  if (Object.keys(held).length === 0) delete message[field]
}
