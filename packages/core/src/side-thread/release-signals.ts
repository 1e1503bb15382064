// A handler of signals is called by the event loop, so that a process whose loop never turns again would be ended by SIGKILL alone,
// where plain Node dies of any signal at once. So our handlers are taken away from a main thread that has been silent for long, in the
// middle of what blocks it, and come back when its loop turns.
import type { Clock, MainSession, SideHost } from '../contracts/service.ts'

const LOOK_MS = 1_000
/** A signal that came while our handler was there, and that no turn of the loop has told of yet, is lost with it. So not soon. */
const SILENT_MS = 3_000
const ANSWER_MS = 1_000
const RELEASE = "globalThis[Symbol.for('afterspan/1')]?.releaseSignals?.()"

export function watchSilentMain(given: {
  readonly clock: Pick<Clock, 'every'>
  readonly mainSilentMs: () => number
  readonly inspectMain: SideHost['inspectMain']
}): void {
  let isReleased = false
  given.clock.every(LOOK_MS, async () => {
    if (given.mainSilentMs() < SILENT_MS) isReleased = false
    else if (!isReleased) isReleased = (await given.inspectMain(release)) === true
  })
}

async function release({ post, within }: MainSession): Promise<boolean> {
  try {
    return typeof (await within(post('Runtime.evaluate', { expression: RELEASE }), ANSWER_MS)) !== 'string'
  } catch {
    return false
  }
}
