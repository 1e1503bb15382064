import { createMetricRegistry, type HealthProbe } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import { publicCode } from '../src/codes.ts'
import { createHealthMetrics } from '../src/metrics.ts'
import { Registry } from '../src/registry.ts'
import { renderJson, renderText } from '../src/render.ts'
import { Scheduler } from '../src/scheduler.ts'
import { scrub } from '../src/scrub.ts'
import { judge } from '../src/verdict.ts'
import { fakeTime, onError } from './fake-time.ts'

/** What drivers say, and the words in it that must not be told. */
const MESSAGES: readonly (readonly [string, readonly string[]])[] = [
  ['connect ECONNREFUSED 10.20.30.40:5432', ['10.20', '5432']],
  ['connect ECONNREFUSED ::1:6379', ['::1']],
  ['connect ETIMEDOUT [2001:db8::7]:5432', ['2001', 'db8']],
  ['getaddrinfo ENOTFOUND orders-db.internal.example', ['orders-db', 'internal']],
  ['getaddrinfo EAI_AGAIN primary', ['primary']],
  ['connect ENOENT /var/run/postgresql/.s.PGSQL.5432', ['/var', 'PGSQL']],
  ['password authentication failed for user "billing_rw"', ['billing_rw']],
  ['database "ledger" does not exist', ['ledger']],
  ['role "root" does not exist', ['root']],
  ['relation "customers" does not exist', ['customers']],
  [
    'no pg_hba.conf entry for host "192.168.7.9", user "shop", database "shop_prod", no encryption',
    ['192.168', 'shop', 'pg_hba'],
  ],
  ["Access denied for user 'root'@'10.0.0.3' (using password: YES)", ['root', '10.0']],
  [
    'invalid connection postgres://shop:hunter2@db.example.com:5432/shop?sslmode=require',
    ['hunter2', 'shop', 'example'],
  ],
  ['redis://default:s3cr3t@cache:6379/0 is down', ['s3cr3t', 'cache']],
  ['cannot reach cache-1:6379', ['cache-1', '6379']],
  ['host=db-7 user=shop password=hunter2 dbname=prod: timeout', ['db-7', 'shop', 'hunter2', 'prod']],
  ['Host: db.internal is not allowed', ['internal']],
  ['mail admin@example.com about it', ['admin', 'example.com']],
  ["NOPERM User app has no permissions to run the 'set' command", [' app ']],
  ['Authorization: Bearer abcdefghij refused', ['abcdefghij']],
  ['connect to localhost:5432 failed', ['localhost', '5432']],
  [`first line\nhost: db-9.prod.example\tsecond`, ['db-9', 'example']],
]

test.for(MESSAGES)('%s', ([message, secrets]) => {
  const scrubbed = scrub(message)
  for (const secret of secrets) expect(scrubbed).not.toContain(secret)
})

test.for([
  'the database system is starting up',
  'sorry, too many clients already',
  'canceling statement due to statement timeout',
  "OOM command not allowed when used memory > 'maxmemory'.".replaceAll("'maxmemory'", 'maxmemory'),
  'no client became free within the deadline: 10 of 10 are busy, 3 others wait',
  'the server is in recovery: it refuses every write',
])('what gives nothing away stays: %s', (message) => {
  expect(scrub(message)).toBe(message)
})

test('a message of any length is scrubbed in bounded time and cut', () => {
  const started = performance.now()
  for (const evil of [
    'a.'.repeat(100_000),
    '"'.repeat(100_000),
    ':'.repeat(100_000),
    '@'.repeat(100_000),
    '/a'.repeat(100_000),
  ])
    expect(scrub(evil).length).toBeLessThanOrEqual(300)
  expect(performance.now() - started).toBeLessThan(1000)
})

test.for(['db-7.internal', 'ADMIN', 'hunter2', 'shop', 'ECONNREFUSED 10.0.0.1', '', 5, {}])(
  'no word from outside passes as a code: %j',
  (word) => {
    expect(publicCode(word)).toBe('error')
  },
)

test.for(['timeout', 'READONLY', 'ECONNREFUSED', '53300', '25P02'])('a code of the table is told: %s', (code) => {
  expect(publicCode(code)).toBe(code)
})

test('whatever a driver throws, returns or measures, the public bodies have names, statuses and codes alone', async () => {
  const secret = 'hunter2'
  const message = `connect ECONNREFUSED db.internal.example:5432 (postgres://shop:${secret}@db.internal.example/shop)`
  const checks: HealthProbe['check'][] = [
    async () => {
      throw Object.assign(new Error(message), { code: secret, detail: message })
    },
    async () => ({ status: 'fail', code: 'db.internal.example', reason: message }),
    async () => ({
      status: 'warn',
      reason: message,
      observed: { text: { value: message }, host: { value: 'db.internal.example' } },
    }),
    async () => ({ status: 'pass', reason: message, hostname: 'db.internal.example' }) as never,
  ]
  const time = fakeTime()
  const registry = new Registry({
    clock: time.clock,
    timer: time.timer,
    scheduler: new Scheduler({ clock: time.clock, timer: time.timer, onError, isolate: (fn) => fn() }),
    metrics: () => createHealthMetrics(createMetricRegistry()),
    settings: { intervalMs: 2000, timeoutMs: 1500, optional: [], shared: { others: 'closed', named: {} } },
    publish: () => {},
    onFirst: () => {},
    onChange: (change) => change,
    isSeenWell: () => false,
    refusal: () => undefined,
    endpoints: () => [],
    onRejected: () => {},
  })
  checks.forEach((check, i) => {
    registry.register(
      { name: `c${i}`, component: 'postgresql', criticality: 'required', check },
      'src/db.internal.example.ts:1',
    )
  })
  await time.advance(10_000)
  const verdict = judge('health', registry.snapshot())
  expect(JSON.parse(renderJson(verdict, { trusted: false, serviceName: 'shop-service' }))).toEqual({
    status: 'fail',
    checks: {
      'c0:responseTime': [{ status: 'fail', code: 'error' }],
      'c1:responseTime': [{ status: 'fail', code: 'error' }],
      'c2:responseTime': [{ status: 'warn' }],
      'c3:responseTime': [{ status: 'pass' }],
    },
  })
  const text = renderText('health', verdict, { verbose: true, trusted: false })
  for (const word of ['internal', 'shop', secret, '5432', 'ECONNREFUSED']) expect(text).not.toContain(word)
  // The trusted body has a reason, and not the words of the driver either.
  const trusted = renderJson(verdict, { trusted: true, serviceName: 'service' }).replaceAll(
    'src/db.internal.example.ts:1',
    '',
  )
  expect(trusted).toContain('ECONNREFUSED')
  for (const word of ['internal', secret, '5432']) expect(trusted).not.toContain(word)
})
