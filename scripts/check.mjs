// Lint, types, generated files. What CI checks beside the tests.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = (name) => join(root, 'node_modules/.bin', name)
const steps = [
  ['types', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b']],
  [
    'lint',
    bin('oxlint'),
    ['--type-aware', '--deny-warnings', 'packages', 'scripts', 'demo', 'examples', 'test', 'bench'],
  ],
  ['generated files', process.execPath, [join(root, 'scripts/gen.mjs'), '--check']],
]
let failed = 0
for (const [name, command, args] of steps) {
  console.error(`check: ${name}`)
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (done.status !== 0) {
    failed++
    console.error(`check: ${name} failed`)
  }
}
process.exit(failed === 0 ? 0 : 1)
