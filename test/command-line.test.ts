// The command line: what it does not understand, at the end of a pipe, and on a full disk.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { nodesUnderTest, pollUntil, repositoryRoot, runApp, tempDir } from '@afterspan/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { appFile } from './app.ts'

const BIN = join(repositoryRoot(), 'packages/afterspan/bin/afterspan.js')

/** What became of a command whose stdout is not read, or is a file. */
function printing(
  node: string,
  args: readonly string[],
  stdout: 'closed' | number,
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const child = spawn(node, [BIN, ...args], {
    env: { HOME: tempDir('home') },
    stdio: ['ignore', stdout === 'closed' ? 'pipe' : stdout, 'pipe'],
  })
  child.stdout?.destroy()
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, stderr }))
  })
}

describe.each(nodesUnderTest())('Node $major', ({ path }) => {
  test('a reader that has read enough is no crash: `afterspan tasks | head`', async () => {
    const dir = tempDir('ledger')
    expect(await printing(path, ['tasks', '--dir', dir], 'closed')).toEqual({ code: 0, stderr: '' })
    expect(await printing(path, ['tasks', '--help'], 'closed')).toEqual({ code: 0, stderr: '' })
    expect(await printing(path, ['receipt', '0'.repeat(32), '--dir', dir], 'closed')).toEqual({ code: 1, stderr: '' })
  })

  test('`afterspan sink | head` ends with its reader', async () => {
    expect(await printing(path, ['sink', '--port', '0'], 'closed')).toEqual({ code: 0, stderr: '' })
  })

  test('output that a full disk does not take is said in one line, with exit code 1', async () => {
    const full = openSync('/dev/full', 'w')
    const done = await printing(path, ['tasks', '--help'], full)
    closeSync(full)
    expect(done.code).toBe(1)
    expect(done.stderr).toMatch(/^afterspan: what was printed is lost: .*ENOSPC.*\n$/)
  })
})

test.each([
  { args: ['tasks', '--colour'], says: "tasks: Unknown option '--colour'" },
  { args: ['tasks', 'failed'], says: 'tasks: "failed" is not understood' },
  { args: ['tasks', '--limit', '0'], says: 'tasks: --limit "0": allowed is a whole number from 1 to 1000' },
  { args: ['tasks', '--limit', '1001'], says: 'tasks: --limit "1001": allowed is a whole number from 1 to 1000' },
  { args: ['tasks', '--trace', ''], says: 'tasks: "" is not a trace id: 32 hex characters' },
  { args: ['patrol', '--port', '65536'], says: 'patrol: --port "65536": allowed is a number from 0 to 65535' },
  { args: ['patrol', 'now'], says: 'patrol: "now" is not understood' },
  { args: ['path', 'esm'], says: 'path: "esm" is not understood' },
  {
    args: ['health', '--url', 'localhost:9464'],
    says: 'health: --url "localhost:9464": allowed is an address that starts with http:// or https://',
  },
])('$args: one line that says what is wrong, the usage, exit code 2', async ({ args, says }) => {
  const done = runApp({ args: [BIN, ...args], env: { AFTERSPAN_LEDGER_DIR: tempDir('ledger') } })
  expect((await done.exit).code).toBe(2)
  const [line, usage, ...more] = done.stderr.trimEnd().split('\n')
  expect(line).toBe(`afterspan ${says}`)
  expect(usage).toMatch(new RegExp(`^Usage: afterspan ${args[0]}(?: .*\\S)?$`))
  expect(more).toEqual([])
  expect(done.stdout).toBe('')
})

test('a sweep that fails is not said to be somebody else’s', async () => {
  const env = { AFTERSPAN_LEDGER_DIR: tempDir('ledger'), AFTERSPAN_LEDGER_URL: 'postgres://nobody@127.0.0.1:9/none' }
  const app = runApp({ args: [BIN, 'patrol', '--once'], env })
  expect(await app.exit).toMatchObject({ code: 1 })
  expect(app.stderr).toMatch(/^\[afterspan\] AFS_PATROL_FAILED [^\n]+\nafterspan patrol: \S+ could not be swept\n$/)
})

test('a folder that is named and is not there is said to be missing, and not made', async () => {
  const missing = join(tempDir('ledger'), 'missing')
  for (const words of [['tasks'], ['receipt', '0'.repeat(32)], ['health', 'explain']]) {
    const byFlag = runApp({ args: [BIN, ...words, '--dir', missing] })
    const byVariable = runApp({ args: [BIN, ...words], env: { AFTERSPAN_LEDGER_DIR: missing } })
    expect([await byFlag.exit, await byVariable.exit]).toMatchObject([{ code: 1 }, { code: 1 }])
    const says = `is not there: nothing was kept in it\n`
    expect(byFlag.stderr).toBe(`afterspan ${words[0]}: AFS_LEDGER_DIR ${missing} ${says}`)
    expect(byVariable.stderr).toBe(`afterspan ${words[0]}: AFS_LEDGER_DIR AFTERSPAN_LEDGER_DIR=${missing} ${says}`)
  }
  expect(existsSync(missing)).toBe(false)
})

test('a database that does not answer was called a folder', async () => {
  const env = { AFTERSPAN_LEDGER_DIR: tempDir('ledger'), AFTERSPAN_LEDGER_URL: 'postgres://nobody@127.0.0.1:9/none' }
  const app = runApp({ args: [BIN, 'tasks'], env })
  expect(await app.exit).toMatchObject({ code: 1 })
  expect(app.stderr).toMatch(/\nafterspan tasks: the ledger of AFTERSPAN_LEDGER_URL does not answer\n$/)
})

test('`afterspan help tasks` is `afterspan tasks --help`', async () => {
  const app = runApp({ args: [BIN, 'help', 'tasks'] })
  expect(await app.exit).toMatchObject({ code: 0 })
  expect(app.stdout).toMatch(/^Usage: afterspan tasks /)
})

test('one Ctrl-C interrupts what `afterspan run` has started once', async () => {
  const node = nodesUnderTest()[0]!.path
  // `true`: script(1) stops with a child of its own that is stopped.
  const command = [node, BIN, 'run', '--', node, appFile('counts-interrupts.cjs'), '; true'].join(' ')
  const terminal = spawn('script', ['-qec', command, '/dev/null'], { env: { HOME: tempDir('home') } })
  onTestFinished(() => void terminal.kill())
  let shown = ''
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
  const [, pid] = await pollUntil(() => /started by (\d+)/.exec(shown) ?? undefined)
  // Two that come at once are one: it hears of the key when the command has dealt with it.
  process.kill(Number(pid), 'SIGSTOP')
  terminal.stdin.write('\x03')
  await pollUntil(() => shown.includes('interrupted 1'))
  process.kill(Number(pid), 'SIGCONT')
  process.kill(Number(pid), 'SIGTERM')
  await once(terminal, 'close')
  expect(shown).toContain('interrupts: 1')
})
