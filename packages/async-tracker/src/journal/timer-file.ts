// Timers that requests have left behind, one fixed slot each, in one small file of the process: <dir>/flight/<nonce>.<thread>.timers. A slot is
// emptied when its timer has run or was cleared; what stands there when the process is dead never ran.
import { readFileSync } from 'node:fs'
import type { TaskSpawned } from '@afterspan/core/internal'
import { SlotFile, slotPath } from './slot-file.ts'

const SLOT_BYTES = 512
const MOST_SLOTS = 16_384
/** What the name of the file ends with. */
export const TIMERS = '.timers'

export interface TimerFile {
  /** Returns what `over` takes; negative: there was no room for it. When it returns, the note survives the process. */
  note(event: TaskSpawned): number
  over(slot: number): void
  /** Takes the file away where nothing stands in it: for an orderly end. */
  remove(): void
}

/** A file that cannot be written is told to `onTrouble`, and for some seconds timers are then not noted. */
export function createTimerFile(
  dir: string,
  key: string,
  onTrouble: (error: NodeJS.ErrnoException) => void,
): TimerFile {
  const file = new SlotFile(slotPath(dir, key, TIMERS), SLOT_BYTES, onTrouble)
  const free: number[] = []
  let used = 0
  return {
    note(event) {
      const line = Buffer.from(`${JSON.stringify(event)}\n`)
      if (line.length > SLOT_BYTES || !file.isReady) return -1
      const number = free.pop() ?? (used < MOST_SLOTS ? used++ : -1)
      if (number < 0 || file.write(line, line.length, number)) return number
      free.push(number)
      return -1
    },
    over(number) {
      file.empty(number)
      free.push(number)
    },
    remove() {
      if (free.length === used) file.remove()
    },
  }
}

/** What a dead process had noted, and never did. */
export function readTimerFile(dir: string, key: string): TaskSpawned[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(slotPath(dir, key, TIMERS))
  } catch {
    return []
  }
  const events: TaskSpawned[] = []
  for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
    const event = bytes[at] === 0 ? undefined : parse(bytes.toString('utf8', at, at + SLOT_BYTES))
    if (event) events.push(event)
  }
  return events
}

function parse(slot: string): TaskSpawned | undefined {
  try {
    const event = JSON.parse(slot.slice(0, slot.indexOf('\n'))) as Partial<TaskSpawned>
    const { kind, taskId, at, origin } = event
    const isWhole =
      kind === 'spawned' &&
      typeof taskId === 'string' &&
      /^[0-9a-f]{48}$/.test(taskId) &&
      typeof at === 'number' &&
      typeof origin?.traceId === 'string' &&
      typeof origin.spanId === 'string'
    return isWhole ? (event as TaskSpawned) : undefined
  } catch {
    return undefined // torn
  }
}
