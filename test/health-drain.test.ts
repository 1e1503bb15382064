import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bothFormats, get, pollUntil, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const apps = { cjs: appFile('drain.cjs'), mjs: appFile('drain.mjs') }
/** Longer than any of these tests waits: what ends the process before is that it was done. */
const LONG = { AFTERSPAN_DRAIN_MS: '120000' }

async function untilDraining(admin: string): Promise<void> {
  await pollUntil(
    async () => {
      const { status, text } = await get(`${admin}/readyz`)
      return status === 503 && text.startsWith('[-]draining failed')
    },
    { timeoutMs: 15_000, what: '/readyz to say draining' },
  )
  expect((await get(`${admin}/health`)).status).toBe(503)
  expect((await get(`${admin}/livez`)).status).toBe(200)
}

bothFormats('SIGTERM: what is in flight is finished, and then the signal ends the process', apps, async (scenario) => {
  const child = startPreloaded({ app: scenario.app, node: scenario.node.path, env: LONG })
  const url = await listening(child)
  const admin = await child.adminUrl()
  const slow = get(`${url}/slow`, { timeoutMs: 60_000 })
  await child.waitForLine(/^got \/slow$/)
  expect((await get(`${url}/promise`)).text).toBe('promised')
  child.signal('SIGTERM')
  await untilDraining(admin)
  const late = await get(`${url}/`, { headers: { connection: 'keep-alive' } })
  expect([late.status, late.headers['connection']]).toEqual([200, 'close'])
  await get(`${url}/release`)
  expect((await slow).text).toBe('slow')
  expect(await child.exit).toEqual({ code: null, signal: 'SIGTERM' })
  expect(child.stdout).toContain('mail sent')
  expect(child.stderr).toBe('')
})

test('SIGTERM: a handler of the app’s own decides, and /readyz is 503 at once all the same', async () => {
  const child = startPreloaded({ app: apps.cjs, env: { ...LONG, OWN_HANDLER: '1' } })
  const url = await listening(child)
  const admin = await child.adminUrl()
  const slow = get(`${url}/slow`, { timeoutMs: 60_000 })
  await child.waitForLine(/^got \/slow$/)
  child.signal('SIGTERM')
  await child.waitForLine(/^own handler$/)
  await untilDraining(admin)
  // It waits for the request that nobody will end.
  child.signal('SIGKILL')
  await expect(slow).rejects.toThrow(url)
  expect(await child.exit).toEqual({ code: null, signal: 'SIGKILL' })
})

test('SIGTERM: a request that never ends holds the process no longer than the bound, and a second signal not at all', async () => {
  const bounded = startPreloaded({ app: apps.cjs, env: { AFTERSPAN_DRAIN_MS: '500' } })
  const patient = startPreloaded({ app: apps.cjs, env: LONG })
  for (const child of [bounded, patient]) {
    get(`${await listening(child)}/slow`).catch(() => {})
    await child.waitForLine(/^got \/slow$/)
    child.signal('SIGTERM')
  }
  expect(await bounded.exit).toEqual({ code: null, signal: 'SIGTERM' })
  await untilDraining(await patient.adminUrl())
  patient.signal('SIGTERM')
  expect(await patient.exit).toEqual({ code: null, signal: 'SIGTERM' })
})

test('SIGTERM: with nothing in flight it ends the process as ever', async () => {
  const child = startPreloaded({ app: apps.cjs, env: LONG })
  await get(await listening(child))
  child.signal('SIGTERM')
  expect(await child.exit).toEqual({ code: null, signal: 'SIGTERM' })
  expect(child.stderr).toBe('')
})

/** Starts Node as the first process of a PID namespace, as a container without an init does. */
function asFirstProcess(node: string): string {
  const file = join(tempDir('container'), 'node')
  writeFileSync(file, `#!/bin/sh\nexec unshare --pid --fork --mount-proc ${node} "$@"\n`, { mode: 0o755 })
  return file
}

test.each(['from outside', 'by itself'])(
  'SIGTERM: pid 1, which no signal ends, was told as gone while it went on (%s)',
  async (from) => {
    const sink = await startOtlpSink()
    const child = startPreloaded({ app: apps.cjs, node: asFirstProcess(process.execPath), sink })
    const url = await listening(child)
    const admin = await child.adminUrl()
    const slow = get(`${url}/slow`)
    await child.waitForLine(/^got \/slow$/)
    if (from === 'by itself') await get(`${url}/term`)
    else {
      const [pid] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ')
      process.kill(Number(pid), 'SIGTERM')
      await untilDraining(admin)
    }
    await get(`${url}/release`)
    const { status, text } = await slow
    expect([status, text]).toEqual([200, 'slow'])
    const traceId = traceIdOf(await slow)
    await sink.waitFor(() => sink.trace(traceId).length > 0)
    expect(
      sink.trace(traceId).map(({ attributes }) => [attributes['http.response.status_code'], attributes['error.type']]),
    ).toEqual([[200, undefined]])
    await child.stop()
    await sink.close()
  },
)
