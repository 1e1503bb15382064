import { expect, test, vi } from 'vitest'
import type * as Question from '../../src/cli/ledger-question.ts'
import { tasks } from '../../src/cli/commands/tasks.ts'

const ledger = vi.hoisted(() => ({ rows: 0 }))
vi.mock('../../src/cli/ledger-question.ts', async (original) => ({
  ...(await original<typeof Question>()),
  knownFolder: () => '/nowhere',
  askLedger: async () => ({
    status: 200,
    body: { tasks: Array.from({ length: ledger.rows }, () => ({ state: 'lost' })) },
  }),
}))

test.each([
  { rows: 99, values: {}, says: [] },
  { rows: 100, values: {}, says: [/^afterspan tasks: these are the newest 100; --limit shows up to 1000, --state/] },
  { rows: 2, values: { limit: '2' }, says: [/ newest 2; --limit shows/] },
  { rows: 1_000, values: { limit: '1000' }, says: [/ newest 1000; --state, --route and --since choose among all$/] },
  { rows: 2, values: { limit: '2', json: true }, says: [] },
])('a table of $rows rows, where $values.limit were asked for, did not say that there may be more', async (given) => {
  ledger.rows = given.rows
  const said: string[] = []
  const complain = (text: string): void => {
    said.push(text)
  }
  const code = await tasks.run({ values: given.values, positionals: [], print: () => {}, complain })
  expect([code, said]).toEqual([0, given.says.map((pattern) => expect.stringMatching(pattern) as string)])
})
