import { createRequire } from 'node:module'
import { node, repositoryRoot, runApp } from '@afterspan/testing'
import { expect, test } from 'vitest'

const root = repositoryRoot()

test('each kind of end is counted, and each skipped test is listed with its reason', async () => {
  const { code, lines } = await run('all-kinds')
  expect(lines.slice(lines.indexOf('Skipped:'))).toEqual([
    'Skipped:',
    '  test/runner/all-kinds.planted.ts > is skipped: no reason given',
    '  test/runner/all-kinds.planted.ts > is to be written: to be written',
    '  test/runner/all-kinds.planted.ts > skips itself: no server here',
    '  test/runner/all-kinds.planted.ts > skipped by a hook > inside: no broker here',
    '  test/runner/all-kinds.planted.ts > cut off by a hook > is skipped anyway: no reason given',
    '2 passed, 4 failed, 5 skipped',
  ])
  expect(code).toBe(1)
})

test('when all pass the exit code is 0', async () => {
  const { code, lines } = await run('passes')
  expect([code, lines.at(-1)]).toEqual([0, '1 passed, 0 failed, 0 skipped'])
})

test('a test that passes only when tried again is named', async () => {
  const { code, lines } = await run('flaky')
  expect(lines.slice(-3)).toEqual([
    'Passed only when tried again (retries are for CI alone):',
    expect.stringMatching(/^ {2}test\/runner\/flaky\.planted\.ts > passes when tried again: .*how often it ran/),
    '1 passed, 0 failed, 0 skipped',
  ])
  expect(code).toBe(0)
})

test.for([
  ['unreadable', '0 passed, 1 failed, 0 skipped', 'a file that cannot be imported is a failure'],
  ['dies', '0 passed, 2 failed, 0 skipped', 'a test whose worker dies has failed, and so has the worker'],
  ['no-such-file', '0 passed, 1 failed, 0 skipped', 'a filter that matches nothing is a failure'],
  ['--no-such-flag', '0 passed, 1 failed, 0 skipped', 'vitest that crashes is a failure'],
] as const)('$2', async ([filter, last]) => {
  const { code, lines } = await run(filter)
  expect([code, lines.at(-1)]).toEqual([1, last])
})

test('built packages are taken as Node takes them: one instance for import and require', async () => {
  const path = '@afterspan/core/preload-guard'
  const imported = (await import(path)) as { mayPreload: unknown }
  const required = createRequire(import.meta.url)(path) as { mayPreload: unknown }
  expect(imported.mayPreload).toBe(required.mayPreload)
})

test('another Node is refused', async () => {
  const { code, lines } = await run('passes', node(22).path)
  expect(code).toBe(1)
  expect(lines.at(-2)).toMatch(/^test: this is Node v22\..* Run it by: npx -y pnpm@\S+ test$/)
  expect(lines.at(-1)).toBe('0 passed, 1 failed, 0 skipped')
})

async function run(filter: string, path = node(24).path): Promise<{ code: number | null; lines: string[] }> {
  const args = ['scripts/test.mjs', '--config', 'test/runner/vitest.config.mjs', filter]
  const app = runApp({ args, cwd: root, env: { NO_COLOR: '1' }, node: path })
  const { code } = await app.exit
  return { code, lines: app.stdout.trimEnd().split('\n') }
}
