// What Redis is asked about a stream, by the app's own client.
import type { Client } from './shapes.ts'
import { isBefore, textOf } from './words.ts'

export interface Asking {
  hasGroup(client: Client, stream: string): Promise<boolean>
  /** Up to where the group that is furthest has got its entries; undefined where there is no group. */
  lastDelivered(client: Client, stream: string): Promise<string | undefined>
  /** The oldest entry that is there; undefined where there is none. */
  firstEntry(client: Client, stream: string): Promise<string | undefined>
}

/** XINFO with these words, outside of any trace. */
export type Ask = (client: Client, ...words: string[]) => Promise<unknown>

export function createAsking(ask: Ask): Asking {
  return {
    async hasGroup(client, stream) {
      const groups = await ask(client, 'GROUPS', stream)
      return !Array.isArray(groups) || groups.length > 0
    },
    async lastDelivered(client, stream) {
      const groups = await ask(client, 'GROUPS', stream)
      const ids = (Array.isArray(groups) ? groups : []).map((group) => textOf(fieldOf(group, 'last-delivered-id')))
      return ids.reduce<string | undefined>((a, b) => (a !== undefined && isBefore(b, a) ? a : b), undefined)
    },
    async firstEntry(client, stream) {
      const first = fieldOf(await ask(client, 'STREAM', stream), 'first-entry')
      return Array.isArray(first) ? textOf(first[0]) : undefined
    },
  }
}

/** Of what Redis says as names and values, one after the other, or by name. */
function fieldOf(told: unknown, name: string): unknown {
  if (Array.isArray(told)) {
    const at = told.findIndex((word) => textOf(word) === name)
    return at < 0 ? undefined : told[at + 1]
  }
  if (told instanceof Map) return told.get(name)
  return typeof told === 'object' && told !== null ? Reflect.get(told, name) : undefined
}
