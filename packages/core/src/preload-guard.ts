import { basename } from 'node:path'
import { isInternalThread, workerData } from 'node:worker_threads'
import { globalState } from './global-state.ts'

/** Tools that start other programs: NODE_OPTIONS reaches them first, and they must stay as they are. */
const LAUNCHERS = new Set([
  'npm',
  'npm-cli.js',
  'npx',
  'npx-cli.js',
  'pnpm',
  'pnpm.cjs',
  'pnpm.mjs',
  'pnpx',
  'yarn',
  'yarn.js',
  'yarnpkg',
  'corepack',
  'corepack.js',
  'node-gyp',
  'node-gyp.js',
  'afterspan',
  'afterspan.js',
])
export const SIDE_THREAD_MARK = 'afterspan.side-thread'

/** Whether this process or thread is one to watch. Asked before anything is loaded; true once in a process (and once in each worker of the app). */
export function mayPreload(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  if (/^(1|true|on|yes)$/i.test(env['AFTERSPAN_DISABLED'] ?? '') || /^true$/i.test(env['OTEL_SDK_DISABLED'] ?? ''))
    return false
  if (isInternalThread || (workerData as Record<string, unknown> | null)?.[SIDE_THREAD_MARK] === true) return false
  if (LAUNCHERS.has(basename(process.argv[1] ?? ''))) return false
  const state = globalState()
  if (state.booted) return false
  state.booted = true
  return true
}
