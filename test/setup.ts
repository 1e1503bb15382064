// Before any black-box test: what they run has to be there. A test that runs against nothing, or on another Node, would tell nothing.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const BUILT = ['afterspan', 'async-tracker', 'core', 'health'].map((name) => `packages/${name}/dist/index.js`)
const PRELOADS = ['packages/afterspan/dist/register.js', 'packages/afterspan/dist/bundle/preload.js']

/** Called once by vitest; what it throws ends the run. */
export default function setup(): void {
  if (!process.version.startsWith('v24.'))
    throw new Error(`this is Node ${process.version}, and the tests are run by the project's own Node 24: pnpm test`)
  const missing = [...BUILT, ...PRELOADS].filter(
    (file) => !existsSync(fileURLToPath(new URL(`../${file}`, import.meta.url))),
  )
  if (missing.length > 0) throw new Error(`not built: ${missing.join(', ')}. Run: pnpm build`)
}
