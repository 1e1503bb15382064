// What every integration of a queue owes, asked from outside of an app that has `/send/<how>` and a worker: docs/adding-an-integration.md.
import type { PreloadedApp } from '@afterspan/testing'
import { expect } from 'vitest'
import { expectReceipt, toldTrace } from './receipts.ts'
import type { Roles } from './roles.ts'

export interface QueueUnderTest {
  readonly system: string
  readonly destination: string
  /** What its worker prints when it has a job that hangs. */
  readonly hanging: RegExp
  /** What becomes of `/send/fails`, where that is not two runs of which the second is the last. */
  readonly failing?: object
  /** What the drawing of it waits for. */
  readonly failingStates?: readonly string[]
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

const EXHAUSTED = {
  verdict: 'broken',
  tasks: [
    {
      state: 'failed',
      reason: 'retries_exhausted',
      attempts: [
        { n: 1, state: 'retrying' },
        { n: 2, state: 'failed' },
      ],
    },
  ],
}

/** Fails, is tried again, and ends as its queue has it: each run in the trace. Returns the drawing. */
export async function holdsWhatFails(
  roles: Roles,
  { system, destination, failing = EXHAUSTED, failingStates = ['retrying', 'failed'] }: QueueUnderTest,
  meanwhile: (traceId: string) => Promise<void> = async () => {},
): Promise<{ readonly traceId: string; readonly drawing: string }> {
  const traceId = await roles.ask('/send/fails')
  await meanwhile(traceId)
  const request = { method: 'GET', route: '/send/:how', status: 200 }
  await expectReceipt(roles.admin, traceId, { request, tasks: [{ system, destination }] })
  await expectReceipt(roles.admin, traceId, failing)
  return { traceId, drawing: await toldTrace(roles.sink, traceId, ...failingStates) }
}

/** Killed with its worker, which is stopped: lost, by proof, while nobody else works; then taken up by the next one. Returns the drawing of the loss. */
export async function holdsWhatIsKilled(
  roles: Roles,
  worker: PreloadedApp,
  { hanging, comesAgain }: QueueUnderTest,
): Promise<{ readonly traceId: string; readonly drawing: string }> {
  const traceId = await roles.ask('/send/hangs')
  await worker.waitForLine(hanging)
  await worker.stop()
  await expectReceipt(roles.admin, traceId, { verdict: 'broken', tasks: [LOST] })
  const drawing = await toldTrace(roles.sink, traceId, 'lost')
  if (comesAgain === false) return { traceId, drawing }
  roles.start('worker', { FAST: '1' })
  await expectReceipt(roles.admin, traceId, {
    verdict: 'kept',
    tasks: [{ flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] }],
  })
  return { traceId, drawing }
}

/** All of it at once. `meanwhile`: as for what fails, or that nothing can. Returns what is heard of it: nothing. */
export async function holdsAll(
  roles: Roles,
  queue: QueueUnderTest,
  meanwhile: ((traceId: string) => Promise<void>) | 'nothing fails' = async () => {},
): Promise<string> {
  const worker = await roles.startReady('worker')
  await holdsWhatIsDone(roles, queue)
  if (meanwhile !== 'nothing fails') await holdsWhatFails(roles, queue, meanwhile)
  await holdsWhatIsKilled(roles, worker, queue)
  await roles.stop()
  return unexpected(roles.stderr())
}

/** Nothing of it is heard. To be asked last. */
export async function holdsItsTongue(roles: Roles): Promise<void> {
  expect(unexpected(roles.stderr())).toBe('')
  await roles.stop()
}

/** kafkajs asks for timers of the past, which Node 24 and later say; and health tells of a consumer that hangs or begins again. */
function unexpected(stderr: string): string {
  const withoutHealth = stderr.replaceAll(/^\[afterspan\] AFS_HEALTH_CHANGED kafka.*\n/gm, '')
  return withoutHealth.replaceAll(/^\(node:\d+\) TimeoutNegativeWarning:.*\n.*\n\(Use .*\n/gm, '')
}
