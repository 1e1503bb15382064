import { formatsInTurn, get, pollUntil, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const apps = { cjs: appFile('health-mount.cjs'), mjs: appFile('health-mount.mjs') }
const TOKEN = 'a-token-of-the-tests'

formatsInTurn('AFTERSPAN_HEALTH_MOUNT=app serves health on the port of the app', apps, async ({ app, node }) => {
  const sink = await startOtlpSink()
  const child = startPreloaded({
    app,
    node: node.path,
    sink,
    // Of nobody's: what is mounted leaves no trace whatever is ignored besides.
    env: { AFTERSPAN_HEALTH_MOUNT: 'app', AFTERSPAN_ADMIN_TOKEN: TOKEN, AFTERSPAN_IGNORE_PATHS: '/nothing' },
  })
  const url = await listening(child)
  const admin = await child.adminUrl()
  // The probes of the process itself come after two seconds.
  const probed = /^\[\+\]event-loop ok\n\[\+\]file-descriptors ok\n\[\+\]memory ok$/m
  await pollUntil(async () => probed.test((await get(`${url}/readyz?verbose`)).text), {
    timeoutMs: 15_000,
    what: 'the probes of the process',
  })
  for (const path of ['/livez', '/readyz', '/startupz', '/readyz/memory', '/readyz?exclude=memory'])
    expect([path, (await get(`${url}${path}`)).status, (await get(`${url}${path}`)).text]).toEqual([path, 200, 'ok'])
  const seenByAll = await get(`${url}/health`)
  expect(seenByAll.headers).toMatchObject({ 'content-type': 'application/health+json; charset=utf-8' })
  expect(seenByAll.headers['x-app']).toBeUndefined()
  expect(seenByAll.headers['traceresponse']).toBeUndefined()
  // Loopback is no trust here: a reverse proxy is loopback too.
  expect(seenByAll.text).not.toContain('observedValue')
  const seenByToken = await get(`${url}/health`, { headers: { authorization: `Bearer ${TOKEN}` } })
  expect(seenByToken.text).toContain('observedValue')
  const head = await fetch(`${url}/health`, { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])

  // Everything else is the app's.
  for (const [method, path] of [
    ['GET', '/'],
    ['POST', '/health'],
    ['GET', '/healthy'],
    ['GET', '/health/x'],
  ] as const) {
    const answer = await fetch(`${url}${path}`, { method })
    expect(answer.headers.get('x-app')).toBe('yes')
    expect(await answer.text()).toBe(`app: ${method} ${path}, false`)
  }
  await sink.waitFor(() => sink.spans().filter((span) => span.kind === 'server').length === 4)
  const { text } = await get(`${admin}/metrics`)
  const requests = [...text.matchAll(/^http_server_request_duration_seconds_count\{.*\} (\d+)$/gm)]
  expect(requests.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(4)
  await child.stop()
  await sink.close()
})

test('without it the paths of health are the app’s own', async () => {
  const child = startPreloaded({ app: apps.cjs })
  const url = await listening(child)
  expect((await get(`${url}/readyz`)).text).toBe('app: GET /readyz, false')
  await child.stop()
})
