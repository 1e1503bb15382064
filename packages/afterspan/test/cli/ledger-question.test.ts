import { expect, test, vi } from 'vitest'
import type * as Tracker from '@afterspan/async-tracker/internal'
import { askLedger } from '../../src/cli/ledger-question.ts'

const swept = vi.hoisted(() => ({ left: 0 }))
vi.mock('@afterspan/async-tracker/internal', async (original) => ({
  ...(await original<typeof Tracker>()),
  askPatrol: async () => undefined,
  PatrolService: class {
    patrol = {}
    async tick(): Promise<object> {
      swept.left--
      return swept.left > 0 ? { hasMore: true } : {}
    }
    async ask(): Promise<object> {
      return { status: 200, body: { unread: swept.left } }
    }
    async stop(): Promise<void> {}
  },
}))

test('what was asked for first was answered from the half of the journals that one sweep reads', async () => {
  swept.left = 3
  expect(await askLedger('/nowhere', '/tasks', new URLSearchParams())).toEqual({ status: 200, body: { unread: 0 } })
})
