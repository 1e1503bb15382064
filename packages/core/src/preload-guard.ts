// Asked before anything is loaded. This file and what it imports must run on any Node that still has users: the build lowers its
// syntax (scripts/build.mjs), and it asks for no more of Node than it must.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isInternalThread, isMainThread } from 'node:worker_threads'
import { requireKept, useKeptCode } from './code-cache.ts'
import { takePm2Environment } from './config/pm2.ts'
import { say } from './diag.ts'
import { globalState } from './global-state.ts'
import { isSideThread } from './side-thread/mark.ts'
import { isTool } from './tool-scripts.ts'

type Env = Readonly<Record<string, string | undefined>>

const OLDEST = [22, 15]

/** Whether this process or thread is one to watch. True once in a process, and once in each worker of the app. An older Node is said, and left alone. */
export function mayPreload(env: Env = process.env): boolean {
  takePm2Environment()
  if (
    /^(1|true|on|yes)$/i.test(env['AFTERSPAN_DISABLED'] || '') ||
    /^\s*true\s*$/i.test(env['OTEL_SDK_DISABLED'] || '')
  )
    return false
  if (isInternalThread || isSideThread() || isTool(process.argv[1] || '', process.argv[2] || '') || isTestRun(env))
    return false
  const state = globalState()
  if (state.booted) return false
  state.booted = true
  return isNodeSupported()
}

/** Loads the bundle and boots what is in it. Its compiled code is kept for the next start, if AFTERSPAN_CODE_CACHE does not say otherwise. */
export function preloadFrom(bundleDir: string, env: Env = process.env): void {
  try {
    if (!/^\s*off\s*$/i.test(env['AFTERSPAN_CODE_CACHE'] || ''))
      useKeptCode(JSON.stringify([process.execArgv, env['NODE_OPTIONS'] || '']))
    const { preload } = requireKept(join(bundleDir, 'preload.js')) as typeof import('./preload.ts')
    preload(bundleDir)
  } catch (error) {
    // A package that is not whole, or is being installed; a process without a descriptor left.
    const why = error instanceof Error ? error.message : String(error)
    say('AFS_BOOT_FAILED', `Afterspan could not be loaded: ${why}. The app runs without it.`)
  }
}

/** `node --test`, the processes that it starts for the files, and `node --check`. An app that a test starts is none of them: its parent is the test. */
function isTestRun(env: Env): boolean {
  if (process.execArgv.some((word) => word === '--test' || word === '--check' || word === '-c')) return true
  if (!env['NODE_TEST_CONTEXT']) return false
  try {
    return readFileSync(`/proc/${process.ppid}/cmdline`, 'utf8').split('\0').includes('--test')
  } catch {
    return false // not a system that shows it
  }
}

function isNodeSupported(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > OLDEST[0]! || (major === OLDEST[0] && minor >= OLDEST[1]!)) return true
  if (isMainThread)
    say(
      'AFS_NODE_UNSUPPORTED',
      `Node ${process.version} is too old: Afterspan needs ${OLDEST.join('.')} or newer, and full instrumentation of ES modules 22.22.3, 24.11.1 or 26. The app runs without it.`,
    )
  return false
}
