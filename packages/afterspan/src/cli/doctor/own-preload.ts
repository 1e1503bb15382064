// An app that asks for the preload in its own code. With the flag all is seen; whether it is without is for a run without it to tell.
import type { Env, InstrumentationRow } from '@afterspan/core/internal'
import type { Trial } from './trial.ts'

/** It does, and it is started without the flag. */
export function asksItself({ processes }: Trial, command: readonly string[], env: Env): boolean {
  const isFlagged = [...command, env['NODE_OPTIONS'] ?? ''].some((text) => /register\b/.test(text))
  return !isFlagged && processes.some(({ asksForPreload }) => asksForPreload)
}

/** The run without the flag. What was seen with it alone was loaded too early; of ES modules nothing else tells that. */
export function compared(flagged: Trial, plain: Trial): Trial {
  const seen = new Set(plain.processes.flatMap(({ instrumentation }) => instrumentation.map(packageOf)))
  const missed = flagged.processes
    .flatMap(({ instrumentation }) => instrumentation)
    .filter((row) => row.state === 'active' && !seen.has(packageOf(row)))
    .map((row): InstrumentationRow => ({ ...row, module: packageOf(row), state: 'loaded_too_early' }))
  const [first, ...rest] = plain.processes
  if (!first) return plain
  return { ...plain, processes: [{ ...first, instrumentation: [...first.instrumentation, ...missed] }, ...rest] }
}

function packageOf({ module }: InstrumentationRow): string {
  return module.split(' ', 1)[0] ?? module
}
