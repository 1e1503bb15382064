// What every integration of a queue owes, asked from outside of an app that has `/send/<how>` and a worker: docs/adding-an-integration.md.
import { expect } from 'vitest'
import { expectReceipt, toldTrace } from './receipts.ts'
import type { Roles } from './roles.ts'

export interface QueueUnderTest {
  readonly system: string
  readonly destination: string
  /** What its worker prints when it has a job that hangs. */
  readonly hanging: RegExp
  /** The message comes again, to the next worker. */
  readonly comesAgain?: false
}

const LOST = { state: 'lost', reason: 'process_killed', evidence: 'process_gone', flags: { recovered: false } }

/** Done: one task in the request's own trace, and a promise that is kept. Returns the trace. */
export async function holdsWhatIsDone(roles: Roles, { system, destination }: QueueUnderTest): Promise<string> {
  const traceId = await roles.ask('/send/succeeds')
  await expectReceipt(roles.admin, traceId, {
    verdict: 'kept',
    request: { method: 'GET', route: '/send/:how', status: 200 },
    tasks: [{ state: 'succeeded', system, destination, confirmed: true, attempts: [{ state: 'succeeded' }] }],
  })
  await roles.sink.waitFor(() => {
    const kinds = new Set(roles.sink.trace(traceId).map(({ kind }) => kind))
    return ['server', 'producer', 'consumer'].every((kind) => kinds.has(kind as 'server'))
  })
  return traceId
}

/** Fails, is tried again, and fails for good: both runs in the trace. Returns the drawing. */
export async function holdsWhatFails(
  roles: Roles,
  { system, destination }: QueueUnderTest,
): Promise<{ readonly traceId: string; readonly drawing: string }> {
  const traceId = await roles.ask('/send/fails')
  const attempts = [
    { n: 1, state: 'retrying' },
    { n: 2, state: 'failed' },
  ]
  await expectReceipt(roles.admin, traceId, {
    verdict: 'broken',
    request: { method: 'GET', route: '/send/:how', status: 200 },
    tasks: [{ state: 'failed', reason: 'retries_exhausted', system, destination, attempts }],
  })
  return { traceId, drawing: await toldTrace(roles.sink, traceId, 'retrying', 'failed') }
}

/** Killed with its worker: lost, by proof, while nobody else works; then taken up by the next one. Returns the drawing of the loss. */
export async function holdsWhatIsKilled(roles: Roles, { hanging, comesAgain }: QueueUnderTest): Promise<string> {
  const worker = await roles.startReady('worker')
  const traceId = await roles.ask('/send/hangs')
  await worker.waitForLine(hanging)
  await worker.stop()
  await expectReceipt(roles.admin, traceId, { verdict: 'broken', tasks: [LOST] })
  const drawing = await toldTrace(roles.sink, traceId, 'lost')
  if (comesAgain === false) return drawing
  roles.start('worker', { FAST: '1' })
  await expectReceipt(roles.admin, traceId, {
    verdict: 'kept',
    tasks: [{ flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] }],
  })
  return drawing
}

/** Nothing of it is heard. To be asked last. */
export async function holdsItsTongue(roles: Roles): Promise<void> {
  expect(roles.stderr()).toBe('')
  await roles.stop()
}
