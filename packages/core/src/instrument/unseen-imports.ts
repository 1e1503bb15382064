import { say } from '../diag.ts'
import type { createInstrumentationStatus } from './status.ts'

const LOADED_AFTER_MS = 1_000

/** On a Node without hooks for imports: notes an ES module that was to be instrumented, and says it once it is sure that no CommonJS inside of it was. */
export function createUnseen(status: ReturnType<typeof createInstrumentationStatus>): (module: string) => void {
  const waiting = new Set<string>()
  const tell = (): void => {
    const seen = new Set(status.rows().map((row) => (row.version ? row.module.split(' ')[0] : undefined)))
    const unseen = [...waiting].filter((name) => !seen.has(name))
    waiting.clear()
    if (unseen.length === 0) return
    say(
      'AFS_HOOK_UNSUPPORTED',
      `Node ${process.version} cannot instrument ES modules: ${unseen.join(', ')} is not seen. Node 22.22.3, 24.11.1 or 26 can; CommonJS, HTTP and fetch are complete.`,
      unseen.join(),
    )
  }
  return (module) => {
    if (waiting.size === 0) {
      setTimeout(tell, LOADED_AFTER_MS).unref()
      process.once('exit', tell)
    }
    waiting.add(module)
    status.set(module, module, '', 'no_hook')
  }
}
