// What a process keeps of the work that is over. Objects are counted, not bytes of the system: how much of those is free again is
// the affair of garbage collector and allocator.
import { get, nodesUnderTest, pollUntil, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

interface Alive {
  readonly main: number
  readonly side: number
  readonly youngMb: number
}
const REQUESTS = 40
const TASKS = 500
/** What is known of one task is some objects and as many texts: kept of each, it would be several times as much. */
const SOME = REQUESTS * TASKS

test('tasks that have ended leave nothing behind, in either thread', { timeout: 180_000 }, async () => {
  const node = nodesUnderTest()[0]!
  const sink = await startOtlpSink()
  const app = startPreloaded({ app: appFile('memory.cjs'), node: node.path, sink })
  const url = await listening(app)
  const admin = await app.adminUrl()
  const work = async (): Promise<void> => {
    for (let i = 0; i < REQUESTS; i++) await get(url)
  }
  const settled = (tasks: number): Promise<unknown> =>
    pollUntil(async () => settledIn((await get(`${admin}/metrics`)).text) === tasks, {
      timeoutMs: 60_000,
      what: `${tasks} tasks to be settled`,
    })
  const alive = async (): Promise<Alive> => JSON.parse((await get(`${url}/alive`, { timeoutMs: 30_000 })).text) as Alive

  await work()
  await settled(REQUESTS * TASKS)
  const before = await alive()
  await work()
  await settled(2 * REQUESTS * TASKS)
  // What waits for its collector is not left behind.
  await pollUntil(
    async () => {
      const after = await alive()
      return after.main - before.main < SOME && after.side - before.side < SOME
    },
    { timeoutMs: 60_000, what: 'no more to be alive than before' },
  )
  // Without a bound of its own the side thread takes 100 MB more for the same work.
  expect(before.youngMb).toBeLessThanOrEqual(16)
  await app.stop()
  await sink.close()
})

function settledIn(metrics: string): number {
  const samples = metrics.matchAll(/^afterspan_tasks_total\{.*\} (\d+)$/gm)
  return [...samples].reduce((sum, [, count]) => sum + Number(count), 0)
}
