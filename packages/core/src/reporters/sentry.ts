// Sentry, where the app itself has loaded and initialised it. It is no dependency: its exports are taken when the app gets them, or
// from the cache of modules.
// What nobody caught it tells by itself, so that is left to it.
import type { ModuleHook } from '../contracts/module-hook.ts'
import type { Incident } from '../contracts/reporter.ts'
import { globalState } from '../global-state.ts'
import { withBriefRequests } from './brief-requests.ts'
import { isUncaught } from './incident-reader.ts'

/** What is used of `@sentry/node`, in all versions since 8. */
interface Sentry {
  isInitialized(): boolean
  captureException(error: unknown, context: { level: 'error'; tags: Record<string, string> }): unknown
}

/** One for all copies of it that the app loads: the first that is initialised is told. */
export function sentryHook(watch: () => void): ModuleHook {
  const copies: Sentry[] = []
  const patch = (exports: Partial<Sentry>): void => {
    if (typeof exports.isInitialized !== 'function' || typeof exports.captureException !== 'function') return
    copies.push(exports as Sentry)
    if (copies.length > 1) return
    ;(globalState().reportListeners ??= new Set()).add((incident) => {
      if (isUncaught(incident) || isGoodNews(incident)) return
      const sentry = copies.find((copy) => copy.isInitialized())
      if (sentry) withBriefRequests(() => sentry.captureException(errorOf(incident), contextOf(incident)))
    })
    watch()
  }
  for (const exports of loadedBefore()) patch(exports)
  return { name: '@sentry/node', module: '@sentry/node', versions: '>=8.0.0', patch }
}

/** A dependency that is down is an error; that it warns or is back is none. */
function isGoodNews({ health }: Incident): boolean {
  return health !== undefined && health.to !== 'fail'
}

/** Sentry asks to be loaded first of all. By `import` it is not in here, and is not found. */
function loadedBefore(): Partial<Sentry>[] {
  const files = Object.keys(require.cache).filter((file) =>
    /\/node_modules\/@sentry\/node\/(?!.*\/node_modules\/).*\bindex\.c?js$/.test(file.replaceAll('\\', '/')),
  )
  // The entry alone has both, and is there once it has loaded.
  return files.map((file) => (require.cache[file]?.exports ?? {}) as Partial<Sentry>)
}

function errorOf({ kind, failure }: Incident): Error {
  const { type = kind, message = '', stack } = failure ?? {}
  const error = new Error(message)
  error.name = type
  // Ours would be that of this file. Without frames Sentry groups by type and message.
  error.stack = stack ?? `${type}: ${message}`
  return error
}

const STATES: Partial<Record<Incident['kind'], string>> = { task_failed: 'failed', task_lost: 'lost' }

function contextOf({ kind, trace, route, taskId, count, service }: Incident): {
  level: 'error'
  tags: Record<string, string>
} {
  const state = STATES[kind]
  return {
    level: 'error',
    tags: {
      'afterspan.kind': kind,
      ...(trace ? { trace_id: trace.traceId } : {}),
      ...(route ? { 'http.route': route } : {}),
      ...(state ? { 'afterspan.task.state': state } : {}),
      ...(taskId ? { 'afterspan.task.id': taskId } : {}),
      ...(service ? { 'afterspan.service': service } : {}),
      ...(count ? { 'afterspan.count': String(count) } : {}),
    },
  }
}
