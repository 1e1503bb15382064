import type { AdminHandler, AdminReply, SideHost } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import { start } from '../src/side.ts'
import { checkState, snapshotOf } from './check-state.ts'
import { fakeTime } from './fake-time.ts'

test('the side half mounts its routes, asks for a snapshot, and takes no other message for one', async () => {
  const routes = new Map<string, AdminHandler>()
  const said: unknown[] = []
  let hear = (_message: unknown): void => {}
  const host: SideHost = {
    route: (path, handle) => routes.set(path, handle),
    metrics: () => {},
    post: (message) => said.push(message),
    onMessage: (handle) => {
      hear = handle
    },
    say: () => {},
    clock: fakeTime().clock,
    mainSilentMs: () => 0,
    inspectMain: async () => undefined,
  }
  const running = await start(host, { serviceName: 'shop', everyMs: 2000, stallMs: 30_000 })
  const readyz = (): number =>
    (
      routes.get('/readyz')!({
        method: 'HEAD',
        path: '/readyz',
        query: new URLSearchParams(),
        headers: {},
        trusted: false,
      }) as AdminReply
    ).status
  expect([...routes.keys()]).toEqual(['/livez', '/readyz', '/readyz/', '/startupz', '/health', '/health/'])
  expect(said).toEqual(['snapshot, please'])
  for (const junk of [undefined, null, 'x', 5, {}, { checks: 'none' }]) hear(junk)
  expect(readyz()).toBe(503)
  hear(snapshotOf([checkState({ name: 'db' })]))
  expect(readyz()).toBe(200)
  await running.stop()
  await running.stop()
})
