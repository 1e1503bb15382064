// `afterspan drill` as an operator runs it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { nodesUnderTest, repositoryRoot, runApp, tempDir, type AppExit } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { toldTrace } from './receipts.ts'

const CLI = join(repositoryRoot(), 'packages/afterspan/bin/afterspan.js')

async function drill(
  args: readonly string[],
  env: Record<string, string>,
  node: string,
): Promise<AppExit & { readonly stdout: string; readonly stderr: string }> {
  const app = runApp({ args: [CLI, 'drill', '--dir', tempDir('ledger'), ...args], env, node })
  const exit = await app.exit
  return { ...exit, stdout: app.stdout, stderr: app.stderr }
}

describe.each(nodesUnderTest())('Node $major', ({ path }) => {
  test('the canary’s death is proven, told and shown, and measured', async () => {
    const sink = await startOtlpSink()
    // What Jaeger's query service answers of a trace, as far as the drill reads it.
    const jaeger = createServer((req, res) => {
      const spans = sink.trace(req.url!.replace('/api/traces/', ''))
      const tags = spans.flatMap(({ attributes }) => Object.entries(attributes).map(([key, value]) => ({ key, value })))
      res.writeHead(spans.length > 0 ? 200 : 404).end(JSON.stringify({ data: [{ spans: [{ tags }] }] }))
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => {
      jaeger.once('listening', resolve)
    })
    const url = `http://127.0.0.1:${(jaeger.address() as AddressInfo).port}`
    const done = await drill(['--json', '--jaeger', url], { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url }, path)
    jaeger.close()
    expect(done).toMatchObject({ code: 0, stderr: '' })
    const result = JSON.parse(done.stdout) as Record<string, number> & { traceId: string }
    expect(result).toMatchObject({ evidence: 'process_gone' })
    expect(result['proofMs']).toBeLessThanOrEqual(result['collectorMs']!)
    expect(result['collectorMs']).toBeLessThanOrEqual(result['jaegerMs']!)
    expect(await toldTrace(sink, result.traceId, 'lost')).toContain('✗ afterspan drill  INTERNAL')
    await sink.close()
  })
})

test('a collector that is not there fails the drill, which says where to look', async () => {
  const done = await drill(
    ['--timeout', '2'],
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' },
    nodesUnderTest()[0]!.path,
  )
  expect(done.code).toBe(1)
  expect(done.stdout).toMatch(/death to proof +\d+ ms \(process_gone\)\ndeath to collector +not in time\n/)
  expect(done.stdout).toContain('is OTEL_EXPORTER_OTLP_ENDPOINT right')
})

test('an address and a time that cannot be are refused with what is allowed', async () => {
  for (const [args, says] of [
    [['--jaeger', 'localhost:16686'], 'an address that starts with http://'],
    [['--timeout', '0'], 'a number of seconds from 1 to 600'],
  ] as const) {
    const done = await drill(args, {}, nodesUnderTest()[0]!.path)
    expect(done.code).toBe(2)
    expect(done.stderr).toContain(says)
  }
})
