import { join } from 'node:path'
import {
  get,
  nodesUnderTest,
  pollUntil,
  repositoryRoot,
  runApp,
  startPreloaded,
  tempDir,
  type RunningApp,
} from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const app = appFile('telemetry.cjs')
const CLI = join(repositoryRoot(), 'packages/afterspan/bin/afterspan.js')

interface Shown {
  readonly status: string
  readonly code?: string
  readonly output?: string
}

/** What /health says of the ledger, once it is so. */
async function ledgerIs(admin: string, wanted: (check: Shown) => boolean): Promise<Shown> {
  return pollUntil(
    async () => {
      const { status, text } = await get(`${admin}/health`)
      const check = (JSON.parse(text) as { checks: Record<string, Shown[]> }).checks['ledger:responseTime']?.[0]
      expect(status).toBe(200) // it is optional, whatever it finds
      return check && wanted(check) && check
    },
    { timeoutMs: 40_000, what: 'the check of the ledger' },
  )
}

test.for(nodesUnderTest())(
  'the ledger is a check of its own, that warns of what was lost: Node $major',
  async (node) => {
    const ledgerDir = tempDir('ledger')
    const start = () => startPreloaded({ app, node: node.path, ledgerDir })
    const first = start()
    const url = await listening(first)
    await get(`${url}/works`)
    await ledgerIs(await first.adminUrl(), ({ status }) => status === 'pass')
    await get(`${url}/hangs`)
    first.signal('SIGKILL')
    await first.exit

    const second = start()
    await get(`${await listening(second)}/works`)
    const admin = await second.adminUrl()
    const found = await ledgerIs(admin, ({ code }) => code === 'tasks_lost')
    expect(found).toMatchObject({
      code: 'tasks_lost',
      output: expect.stringMatching(/^1 task was lost in the last 15 minutes$/),
      criticality: 'optional',
    })
    expect(found).not.toHaveProperty('madeAt')
    expect((await get(`${admin}/readyz`)).status).toBe(200)
    // The loss was told when it was found.
    expect(second.stderr).toBe('')
    await second.stop()
  },
)

test('a ledger folder that nobody patrols is said, until somebody does', async () => {
  const ledgerDir = tempDir('ledger')
  const child = startPreloaded({ app, ledgerDir, env: { AFTERSPAN_PATROL: 'external' } })
  await get(`${await listening(child)}/works`)
  const admin = await child.adminUrl()
  expect(await ledgerIs(admin, ({ code }) => code === 'no_patrol')).toMatchObject({ status: 'warn' })
  await child.waitForLine(
    /^\[afterspan\] AFS_HEALTH_CHANGED ledger turned (?:from pass to )?warn \(optional\): no_patrol: /,
  )
  const patrol: RunningApp = runApp({
    args: [CLI, 'patrol', '--dir', ledgerDir],
    env: { OTEL_TRACES_EXPORTER: 'none' },
  })
  await ledgerIs(admin, ({ status }) => status === 'pass')
  await patrol.stop()
  await child.stop()
})
