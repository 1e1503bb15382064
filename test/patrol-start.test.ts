// When the patrol begins that every app has beside it: not for requests alone, and in time for whatever somebody must be told of.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { get, nodesUnderTest, pollUntil, startPreloaded, tempDir } from '@afterspan/testing'
import type { PreloadedApp } from '@afterspan/testing'
import { startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const hasPatrol = ({ ledgerDir }: PreloadedApp): boolean => existsSync(join(ledgerDir, 'patrol.lock'))

function spansOf(sink: OtlpSink, path: string): ReturnType<OtlpSink['spans']> {
  return sink.spans().filter(({ attributes }) => attributes['url.path'] === path)
}

describe.each(nodesUnderTest())('the patrol beside an app, on Node $major', (node) => {
  test('begins with the first promise, and not with requests', async () => {
    const sink = await startOtlpSink()
    const env = { CLOSED_PORT: new URL(sink.url).port }
    const app = startPreloaded({ app: appFile('express.cjs'), node: node.path, sink, env })
    const url = await listening(app)
    for (let i = 0; i < 3; i++) await get(`${url}/api/acme/orders/${i}`)
    // A second from the request to the collector: the side thread has looked for work several times by then.
    await sink.waitFor(() => spansOf(sink, '/api/acme/orders/2').length > 0)
    expect(hasPatrol(app)).toBe(false)
    await get(`${url}/late-fetch`)
    await pollUntil(() => hasPatrol(app))
    await app.stop()
    await sink.close()
  })

  test('begins where another process answers requests, and tells what that one had in flight when it was killed', async () => {
    const sink = await startOtlpSink()
    const ledgerDir = tempDir('ledger')
    const start = (): PreloadedApp => startPreloaded({ app: appFile('express.cjs'), node: node.path, sink, ledgerDir })
    const [one, other] = [start(), start()]
    await get(`${await listening(one)}/api/acme/orders/1`)
    void get(`${await listening(other)}/hangs`).catch(() => {})
    await other.waitForLine(/^hanging$/)
    other.signal('SIGKILL')
    await other.exit
    await sink.waitFor(() => spansOf(sink, '/hangs').length > 0)
    expect(spansOf(sink, '/hangs')[0]!.attributes).toMatchObject({ 'error.type': 'process_killed' })
    await one.stop()
    await sink.close()
  })
})
