import { get, pollUntil, startPreloaded, tempDir, type NodeUnderTest, type PreloadedApp } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const CLIENTS = 4
/** Long enough for some of them to meet the start of a patrol, its sweeps, and a backlog. */
const MOST_LIFE_MS = 400

interface Row {
  readonly task_id: string
  readonly state: string
  readonly reason: string | null
}

/** Kills one service after the other on the same folder, each at a random moment under load, and then asks what became of each task whose request got its 200. */
export async function killAtRandom(kills: number, node: NodeUnderTest): Promise<void> {
  // By id, as they come: of a thousand lives the sink itself keeps the newest spans alone.
  const told = new Map<string, Set<string>>()
  const sink = await startOtlpSink({
    onSpan({ traceId, spanId, attributes }) {
      if (attributes['afterspan.task.state'] !== 'lost') return
      const spans = told.get(traceId)
      if (spans) spans.add(spanId)
      else told.set(traceId, new Set([spanId]))
    },
  })
  const ledgerDir = tempDir('chaos')
  const start = (): PreloadedApp => startPreloaded({ app: appFile('chaos.cjs'), node: node.path, sink, ledgerDir })
  const acknowledged: string[] = []
  for (let n = 0; n < kills; n++) acknowledged.push(...(await oneLife(start())))
  expect(acknowledged.length).toBeGreaterThan(kills)

  const last = start()
  await get(await listening(last)) // so that somebody patrols
  const admin = await last.adminUrl()
  const states = { lost: 0, succeeded: 0 }
  const lost: string[] = []
  for (const traceId of acknowledged) {
    const rows = await settled(admin, traceId)
    expect([traceId, rows]).toMatchObject([traceId, [{ state: expect.stringMatching(/^(?:lost|succeeded)$/) }]])
    states[rows[0]!.state as 'lost' | 'succeeded']++
    if (rows[0]!.state !== 'lost') continue
    expect([traceId, rows[0]!.reason]).toEqual([traceId, 'process_killed'])
    lost.push(traceId)
  }
  // Of a few kills each meets work under way; of all none may have been missed or told twice.
  expect(states.lost).toBeGreaterThan(0)
  expect(states.succeeded).toBeGreaterThan(0)
  await pollUntil(() => lost.every((traceId) => told.has(traceId)), { timeoutMs: 60_000, what: 'the lost spans' })
  expect(lost.filter((traceId) => told.get(traceId)!.size !== 1)).toEqual([])
  await last.stop()
  await sink.close()
}

/** Requests until the process is gone. Returns the traces that were answered. */
async function oneLife(app: PreloadedApp): Promise<string[]> {
  const url = await listening(app)
  const answered: string[] = []
  let isOver = false
  const client = async (): Promise<void> => {
    while (!isOver) {
      try {
        const reply = await get(url)
        if (reply.status === 200) answered.push(traceIdOf(reply))
      } catch {
        return // it is dead: nothing was promised
      }
    }
  }
  const clients = Array.from({ length: CLIENTS }, client)
  setTimeout(() => app.signal('SIGKILL'), Math.random() * MOST_LIFE_MS)
  await app.exit
  isOver = true
  await Promise.all(clients)
  return answered
}

async function settled(admin: string, traceId: string): Promise<readonly Row[]> {
  return pollUntil(
    async () => {
      const { tasks = [] } = JSON.parse((await get(`${admin}/tasks?trace=${traceId}`)).text) as { tasks?: Row[] }
      return tasks.length > 0 && tasks.every(({ state }) => state !== 'running') ? tasks : undefined
    },
    { timeoutMs: 60_000, what: `the end of the task of ${traceId}` },
  )
}
