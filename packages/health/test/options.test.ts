import { expect, test } from 'vitest'
import { healthSettings } from '../src/options.ts'

test('the defaults', () => {
  expect(healthSettings({}, [])).toEqual({
    intervalMs: 2000,
    format: 'health',
    mount: 'admin',
    timeoutMs: 1500,
    optional: [],
    passive: true,
    shared: { others: 'closed', named: {} },
    deadPoolMs: 60_000,
    disks: [],
    oldestRequestMs: 0,
    consumerStuckMs: 60_000,
    queueStatus: 'warn',
    queueWaiting: 0,
    queueOldestMs: 900_000,
    postgresqlStatement: '',
    stallMs: 30_000,
    oldSpaceLimitMb: undefined,
  })
})

test('each variable', () => {
  const env = {
    AFTERSPAN_HEALTH_INTERVAL: '500',
    AFTERSPAN_HEALTH_TIMEOUT: '200',
    AFTERSPAN_HEALTH_OPTIONAL: 'redis, postgresql-2',
    AFTERSPAN_HEALTH_STALL: '5000',
    AFTERSPAN_HEALTH_SHARED: 'open,orders-db=closed',
  }
  expect(healthSettings(env, [])).toMatchObject({
    intervalMs: 500,
    timeoutMs: 200,
    optional: ['redis', 'postgresql-2'],
    stallMs: 5000,
    shared: { others: 'open', named: { 'orders-db': 'closed' } },
  })
})

test.for([
  ['', ['--max-old-space-size=512'], 512],
  ['--max-old-space-size=256', [], 256],
  ['--max_old_space_size=256 --enable-source-maps', ['--max-old-space-size', '300'], 300],
  ['--max-semi-space-size=16', [], undefined],
] as const)('the limit of the old generation from NODE_OPTIONS "%s" and %j is %s', ([options, execArgv, limit]) => {
  expect(healthSettings({ NODE_OPTIONS: options }, execArgv).oldSpaceLimitMb).toBe(limit)
})
