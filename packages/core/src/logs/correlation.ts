import type { ModuleHooks } from '../instrument/hooks.ts'
import { bunyanHook } from './bunyan.ts'
import { patchConsole } from './console.ts'
import { pinoHook } from './pino.ts'
import { winstonHook } from './winston.ts'

const HOOKS = [bunyanHook, pinoHook, winstonHook]

/** Puts trace and span id into the lines of those that are named in AFTERSPAN_LOG_TRACE. Nothing is touched of the others. */
export function correlateLogs(named: readonly string[], hooks: ModuleHooks): void {
  const isNamed = (name: string): boolean => named.includes(name) || named.includes('all')
  for (const hook of HOOKS) if (isNamed(hook.name)) hooks.add(hook)
  if (isNamed('console')) patchConsole()
}
