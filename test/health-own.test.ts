import { get, startPreloaded } from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

test('a thread pool that hangs is a warning, a loop that stops makes the process unready, and both are well again', async () => {
  const env = { AFTERSPAN_HEALTH_DISKS: '/,/tmp', AFTERSPAN_HEALTH_INTERVAL: '500', AFTERSPAN_HEALTH_TIMEOUT: '500' }
  const child = startPreloaded({ app: appFile('own-probes.cjs'), env })
  const url = await listening(child)
  const admin = await child.adminUrl()
  const until = (status: number, line: string): Promise<string> =>
    untilAnswer(`${admin}/readyz?verbose`, status, line, 30_000)
  await until(200, '[+]mailer ok')
  const well = await until(200, '[+]disk ok')
  expect(well).toMatch(/^\[\+\]thread-pool ok$/m)

  await get(`${url}/hang`)
  await until(200, '[+]thread-pool warn: thread_pool_saturated')
  await get(`${url}/free`)
  await until(200, '[+]thread-pool ok')

  await get(`${url}/stop`)
  await until(503, '[-]mailer failed: heartbeat_missed')
  expect((await get(`${admin}/livez`)).status).toBe(200)
  await get(`${url}/beat`)
  await until(200, '[+]mailer ok')
  await child.stop()
})
