import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { get, runApp, startPreloaded, tempDir } from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const APP = appFile('express.cjs')

test('a wrong value is named once with what is allowed, and the app starts all the same', async () => {
  const env = {
    OTEL_BSP_SCHEDULE_DELAY: 'soon',
    OTEL_TRACES_SAMPLER: 'sometimes',
    AFTERSPAN_PATROL: 'always',
    AFTERSPAN_LEDGR_DIR: 'x',
    OTEL_EXPORTER_OTLP_HEADERS: 'secret',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector',
    AFTERSPAN_LOG_TRACE: 'log4j',
    AFTERSPAN_HEALTH_SHARED: 'sometimes',
  }
  const child = startPreloaded({ app: APP, env })
  expect((await get(`${await listening(child)}/api/a/orders/1`)).status).toBe(200)
  await child.adminUrl()
  const lines = child.stderr.trim().split('\n').sort()
  expect(lines).toMatchInlineSnapshot(`
    [
      "[afterspan] AFS_CONFIG_INVALID AFTERSPAN_HEALTH_SHARED="sometimes" is not valid: allowed is closed, open or quorum, and such as name=open for single ones, with commas between them. The default is used.",
      "[afterspan] AFS_CONFIG_INVALID AFTERSPAN_LOG_TRACE="log4j" is not valid: allowed is all, bunyan, console, pino, winston with commas between them, or none. Using "none".",
      "[afterspan] AFS_CONFIG_INVALID AFTERSPAN_PATROL="always" is not valid: allowed is one of inline, external, off. Using "inline".",
      "[afterspan] AFS_CONFIG_INVALID OTEL_BSP_SCHEDULE_DELAY="soon" is not valid: allowed is a whole number from 0 to 600000. Using 1000.",
      "[afterspan] AFS_CONFIG_INVALID OTEL_EXPORTER_OTLP_ENDPOINT="collector" is not valid: allowed is an address that starts with http:// or https://. It is left out.",
      "[afterspan] AFS_CONFIG_INVALID OTEL_EXPORTER_OTLP_HEADERS="…" is not valid: allowed is key=value pairs that are headers of HTTP. It is left out.",
      "[afterspan] AFS_CONFIG_INVALID OTEL_TRACES_SAMPLER="sometimes" is not valid: allowed is one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio. Using "parentbased_always_on".",
      "[afterspan] AFS_CONFIG_UNKNOWN AFTERSPAN_LEDGR_DIR is not a variable of Afterspan; did you mean AFTERSPAN_LEDGER_DIR?",
    ]
  `)
  await child.stop()
})

test('an address that is not allowed was said with the password or the secret path that is in it', async () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:hid/den@host:4318',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'ftp://user:hidden@hidden@host:4318',
    AFTERSPAN_WEBHOOK_URL: 'hooks.example.test/services/hidden',
  }
  const child = startPreloaded({ app: APP, env })
  await listening(child)
  await child.adminUrl()
  expect(child.stderr.match(/AFS_CONFIG_INVALID \w+/g)?.length).toBe(3)
  expect(child.stderr).not.toMatch(/hid|den/)
  await child.stop()
})

test.each([
  {
    why: 'is a file',
    make: (dir: string) => {
      writeFileSync(dir, '')
    },
  },
  {
    why: 'may be written to by others',
    make: (dir: string) => {
      mkdirSync(dir)
      chmodSync(dir, 0o777)
    },
  },
])('a ledger folder that $why is said and counted, and requests go on', async ({ make }) => {
  const state = tempDir('state')
  make(join(state, 'afterspan'))
  const child = startPreloaded({ app: APP, env: { AFTERSPAN_LEDGER_DIR: '', XDG_STATE_HOME: state } })
  expect((await get(`${await listening(child)}/api/a/orders/1`)).status).toBe(200)
  const { text } = await get(`${await child.adminUrl()}/metrics`)
  expect(text).toContain('afterspan_ledger_write_errors_total 1\n')
  expect(child.stderr).toMatch(/^\[afterspan\] AFS_LEDGER_DIR .*state.*\n$/)
  await child.stop()
})

test('in a volume that several users may write to, nothing was kept', async () => {
  const volume = tempDir('volume')
  chmodSync(volume, 0o777)
  const child = startPreloaded({ app: APP, ledgerDir: volume })
  expect((await get(`${await listening(child)}/api/a/orders/1`)).status).toBe(200)
  await child.adminUrl()
  await child.stop()
  expect(child.stderr).toBe('')
  expect(readdirSync(volume)).toEqual([`ledger-${process.getuid!()}`])
})

test('a busy admin port is said once with what to do, and taken when it is free', async () => {
  const first = startPreloaded({ app: APP })
  const port = new URL(await first.adminUrl(await listening(first).then(() => 10_000))).port
  const second = startPreloaded({ app: APP, env: { OTEL_EXPORTER_PROMETHEUS_PORT: port } })
  expect((await get(`${await listening(second)}/api/a/orders/1`)).status).toBe(200)
  await second.waitForLine(/AFS_ADMIN_PORT_BUSY .*OTEL_EXPORTER_PROMETHEUS_PORT/)
  await first.stop()
  expect(new URL(await second.adminUrl(20_000)).port).toBe(port)
  expect(second.stderr.match(/AFS_/g)).toHaveLength(1)
  await second.stop()
})

test.each(['127.0.0.1.invalid', '192.0.2.1'])(
  'an admin host %s that is none of this host: the line names the host',
  async (host) => {
    const app = startPreloaded({ app: APP, env: { OTEL_EXPORTER_PROMETHEUS_HOST: host } })
    await listening(app)
    const [line] = await app.waitForLine(/AFS_ADMIN_PORT_BUSY .*/)
    expect(line).toContain('OTEL_EXPORTER_PROMETHEUS_HOST is to be an address of this host')
    await app.stop()
  },
)

test.each([{ AFTERSPAN_DISABLED: '1' }, { OTEL_SDK_DISABLED: 'true' }])('with %o nothing is loaded', async (env) => {
  const child = startPreloaded({ app: APP, env })
  const { headers } = await get(`${await listening(child)}/api/a/orders/1`)
  expect(headers['traceresponse']).toBeUndefined()
  await child.stop()
  expect(child.stderr).toBe('')
})

test.each([
  { what: 'node -e', args: ['-e', 'console.log(6 * 7)'], stdout: '42\n' },
  { what: 'node -p', args: ['-p', '6 * 7'], stdout: '42\n' },
  {
    what: 'an ES module by -e',
    args: ['--input-type=module', '-e', 'import { sep } from "node:path"; console.log(sep)'],
    stdout: '/\n',
  },
])('$what with NODE_OPTIONS inherited works unchanged and stays quiet', async ({ args, stdout }) => {
  const ledgerDir = join(tempDir('ledger'), 'state')
  const bare = runApp({ args })
  const child = startPreloaded({ app: args[0]!, args: args.slice(1), preload: 'NODE_OPTIONS', ledgerDir })
  expect(await child.exit).toEqual(await bare.exit)
  expect(child.stdout).toBe(stdout)
  expect(child.stdout).toBe(bare.stdout)
  expect(child.stderr).toBe('')
})
