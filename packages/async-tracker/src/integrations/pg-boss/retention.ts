// A job that nobody has begun within its retention is deleted, and pg-boss tells nobody: from then on it is overdue.
import { isObject } from '../sending/bag.ts'
import { onCall, type Patch } from './patch.ts'

/** That this process has declared with a retention of their own, the newest. Of others it is not known. */
const MOST_QUEUES = 1_000

export interface Retention {
  /** How long a job may wait, by what it is sent with, and by its queue. */
  deadlineMsOf(queue: string, settings: unknown): number | undefined
  declared(queue: string, settings: unknown): void
}

export function createRetention(): Retention {
  const secondsOf = new Map<string, number>()
  return {
    deadlineMsOf(queue, settings) {
      const { startAfter } = isObject(settings) ? settings : {}
      const seconds = given(settings) ?? secondsOf.get(queue)
      return seconds === undefined ? undefined : untilMs(startAfter) + seconds * 1_000
    },
    declared(queue, settings) {
      const seconds = given(settings)
      if (seconds === undefined) return
      secondsOf.delete(queue)
      secondsOf.set(queue, seconds)
      if (secondsOf.size > MOST_QUEUES) secondsOf.delete(secondsOf.keys().next().value!)
    },
  }
}

function given(settings: unknown): number | undefined {
  const seconds = isObject(settings) ? settings['retentionSeconds'] : undefined
  return typeof seconds === 'number' && seconds >= 1 ? seconds : undefined
}

/** Seconds from now, or a date. */
function untilMs(startAfter: unknown): number {
  const seconds = Number(startAfter)
  if (typeof startAfter !== 'object' && seconds > 0) return seconds * 1_000
  const at = startAfter instanceof Date ? startAfter.getTime() : Date.parse(String(startAfter))
  return at > Date.now() ? at - Date.now() : 0
}

export function patchQueues(patch: Patch, { declared }: Retention): void {
  for (const method of ['createQueue', 'updateQueue'] as const)
    onCall(patch, method, async (original, self, args) => {
      const result = await original.apply(self, args)
      const [queue, settings] = args
      if (typeof queue === 'string') declared(queue, settings)
      return result
    })
}
