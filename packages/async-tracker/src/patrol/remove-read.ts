import { listDoors, removeDoor } from '../door.ts'
import { FLIGHT } from '../journal/flight.ts'
import { listSlotFiles, removeSlotFile } from '../journal/slot-file.ts'
import { TIMERS } from '../journal/timer-file.ts'
import { adoptLeftSpans, keysOfLeftSpans } from './left-spans.ts'
import { hasSegment, isReadTo, listSegments, removeSegment } from './tail.ts'

/**
 * Removes what the dead have left, also those whom an earlier patrol buried, and the segments of the living that are read to the end
 * and have a successor. Returns the files whose place may be forgotten. The file goes first: the place in one that is gone is
 * forgotten later, a file whose place is forgotten would be read again.
 */
export function removeRead(
  dir: string,
  offsets: ReadonlyMap<string, number>,
  isDead: (key: string) => boolean,
): string[] {
  adoptLeftSpans(dir, isDead)
  for (const kind of [FLIGHT, TIMERS])
    for (const key of listSlotFiles(dir, kind)) if (isDead(key)) removeSlotFile(dir, key, kind)
  for (const key of listDoors(dir)) if (isDead(key)) removeDoor(dir, key)
  const segments = listSegments(dir)
  const there = new Set(segments.map(({ file }) => file))
  for (const [i, { key, file }] of segments.entries())
    if (isDead(key) || (segments[i + 1]?.key === key && isReadTo(dir, file, offsets.get(file)))) {
      removeSegment(dir, file)
      there.delete(file)
    }
  return [...offsets.keys()].filter((file) => !there.has(file) && !hasSegment(dir, file))
}

/** Processes that have, or had, files in the folder. */
export function keysIn(dir: string): string[] {
  const slots = [FLIGHT, TIMERS].flatMap((kind) => listSlotFiles(dir, kind))
  const segments = listSegments(dir).map(({ key }) => key)
  return [...new Set([...segments, ...slots, ...listDoors(dir), ...keysOfLeftSpans(dir)])]
}
