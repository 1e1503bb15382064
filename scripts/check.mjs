// Types, lint, format, generated files. What CI checks beside the tests; each step that fails prints "check: <step> failed".
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = (name) => join(root, 'node_modules/.bin', name)
const folders = ['packages', 'scripts', 'demo', 'examples', 'test', 'bench']
const steps = [
  { name: 'types', command: process.execPath, args: [join(root, 'node_modules/typescript/bin/tsc'), '-b'] },
  {
    name: 'types of tests',
    command: process.execPath,
    args: [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.test.json'],
  },
  { name: 'lint', command: bin('oxlint'), args: ['--type-aware', '--deny-warnings', ...folders] },
  { name: 'format', command: bin('oxfmt'), args: ['--check', ...folders] },
  { name: 'generated files', command: process.execPath, args: [join(root, 'scripts/gen.mjs'), '--check'] },
  { name: 'documents', command: process.execPath, args: [join(root, 'scripts/docs.mjs'), '--check'] },
]
let failed = 0
for (const { name, command, args } of steps) {
  console.error(`check: ${name}`)
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (done.status !== 0) {
    failed++
    console.error(`check: ${name} failed`)
  }
}
process.exit(failed === 0 ? 0 : 1)
