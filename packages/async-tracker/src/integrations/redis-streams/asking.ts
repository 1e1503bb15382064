// What Redis is asked about a stream, by the app's own client.
import type { Client } from './shapes.ts'
import { isBefore, textOf } from './words.ts'

export interface Asking {
  hasGroup(client: Client, stream: string): Promise<boolean>
  /** Up to where the group that is furthest has got its entries; undefined where there is no group. */
  lastDelivered(client: Client, stream: string): Promise<string | undefined>
  /** Undefined: there is no such stream. */
  stateOf(client: Client, stream: string): Promise<StreamState | undefined>
}
export interface StreamState {
  /** The oldest entry that is there; undefined where there is none. */
  readonly first: string | undefined
  /** The last id that was given out. */
  readonly newest: string
  readonly delivered: string | undefined
}

/** XINFO with these words, outside of any trace. */
export type Ask = (client: Client, ...words: string[]) => Promise<unknown>

export function createAsking(ask: Ask): Asking {
  const lastDelivered: Asking['lastDelivered'] = async (client, stream) => {
    const groups = await ask(client, 'GROUPS', stream)
    const ids = (Array.isArray(groups) ? groups : []).map((group) => textOf(fieldOf(group, 'last-delivered-id')))
    return ids.reduce<string | undefined>((a, b) => (a !== undefined && isBefore(b, a) ? a : b), undefined)
  }
  return {
    async hasGroup(client, stream) {
      const groups = await ask(client, 'GROUPS', stream)
      return !Array.isArray(groups) || groups.length > 0
    },
    lastDelivered,
    async stateOf(client, stream) {
      try {
        // In this order: what is there after it was not delivered had not gone before.
        const delivered = await lastDelivered(client, stream)
        const told = await ask(client, 'STREAM', stream)
        const first = fieldOf(told, 'first-entry')
        const newest = textOf(fieldOf(told, 'last-generated-id'))
        return { first: Array.isArray(first) ? textOf(first[0]) : undefined, newest, delivered }
      } catch (error) {
        if (error instanceof Error && /no such key/i.test(error.message)) return undefined
        throw error
      }
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
