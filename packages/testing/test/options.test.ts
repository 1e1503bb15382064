import { expect, test } from 'vitest'
import { cleanEnvironment, testOptions } from '../src/options.ts'

test('all Nodes are under test unless some are named', () => {
  expect(testOptions({}).nodes).toEqual([22, 24, 26])
  expect(testOptions({ AFTERSPAN_TEST_NODES: '26, 24' }).nodes).toEqual([26, 24])
  expect(() => testOptions({ AFTERSPAN_TEST_NODES: '20' })).toThrow('"20" is none of 22, 24, 26')
})

test('services are required only by 1', () => {
  expect(testOptions({}).isServiceRequired).toBe(false)
  expect(testOptions({ AFTERSPAN_TEST_REQUIRE_SERVICES: '1' }).isServiceRequired).toBe(true)
})

test('a child gets nothing that configures Node, OpenTelemetry, Afterspan or the runner', () => {
  const env = {
    PATH: '/bin',
    TMPDIR: '/t',
    NODE_OPTIONS: '-r x',
    NODE_ENV: 'test',
    OTEL_SERVICE_NAME: 'x',
    AFTERSPAN_DISABLED: '1',
    VITEST: 'true',
  }
  expect(cleanEnvironment(env)).toEqual({ LANG: 'C.UTF-8', PATH: '/bin', TMPDIR: '/t' })
})
