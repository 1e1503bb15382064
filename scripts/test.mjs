// Runs the tests: `pnpm test [file filters]`; `pnpm test:all` has the long ones too. The last line is always "N passed, N failed, N skipped".
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const isAll = process.argv.includes('--all')
const filters = process.argv.slice(2).filter((arg) => arg !== '--all' && arg !== '--')

if (!process.version.startsWith('v24.'))
  finish(`this is Node ${process.version}; the project brings its own Node 24. Run it by: npx -y pnpm@12.21.0 test`)

const folder = mkdtempSync(join(tmpdir(), 'afs-summary-'))
const file = join(folder, 'summary.json')
const how = await run()
const summary = summaryIn(file)
rmSync(folder, { recursive: true, force: true })

if (!summary) finish(`vitest ended (${how.signal ?? `code ${how.code}`}) before it had a result`)
if (summary.skipped.length > 0) {
  console.log('Skipped:')
  for (const { name, reason } of summary.skipped) console.log(`  ${name}: ${reason ?? 'no reason given'}`)
}
if (summary.flaky.length > 0) {
  console.log('Passed only when tried again (retries are for CI alone):')
  for (const { name, reason } of summary.flaky) console.log(`  ${name}: ${reason ?? 'no reason given'}`)
}
// What vitest holds to be a failure is one, also where no test failed: an error in its own configuration or set-up.
if (how.code !== 0 && summary.failed === 0) {
  console.log(`vitest failed (${how.signal ?? `code ${how.code}`}), though no test did: its output is above`)
  summary.failed = 1
}
lastLine(summary.passed, summary.failed, summary.skipped.length)

function run() {
  const args = ['run', '--reporter=default', `--reporter=${join(root, 'scripts/test-summary.mjs')}`, ...filters]
  const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
    cwd: root,
    env: {
      ...process.env,
      AFTERSPAN_TEST_SUMMARY: file,
      ...(isAll ? { AFTERSPAN_TEST_LONG: '1' } : {}),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  // Ctrl-C reaches vitest by the terminal; kill reaches only this process.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && child.kill(signal))
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 1, signal: error.message }))
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
}

function summaryIn(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined // it never came to write one
  }
}

/** For a run that has no result of its own. */
function finish(why) {
  console.log(`test: ${why}`)
  lastLine(0, 1, 0)
}

function lastLine(passed, failed, skipped) {
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exit(failed === 0 ? 0 : 1)
}
