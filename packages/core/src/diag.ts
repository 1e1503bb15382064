import { writeSync } from 'node:fs'
import type { ErrorCode } from './errors.ts'

const said = new Map<ErrorCode, Set<string>>()
const MOST = 200
/** One that has much to say, such as of handlers that fail at any path, leaves room for the others. */
const MOST_OF_A_CODE = 50
let distinct = 0
let lines = 0
let isSilent = false

/**
 * One coded line on stderr: `[afterspan] CODE message`. Each code and key is said once (`onceFor`, default the message itself),
 * at most 50 lines of a code and 200 a process. Never throws, never waits: a full or closed stderr loses the line.
 */
export function say(code: ErrorCode, message: string, onceFor: string = message): void {
  if (isSilent || distinct >= MOST) return
  let keys = said.get(code)
  if (!keys) said.set(code, (keys = new Set()))
  if (keys.has(onceFor) || keys.size >= MOST_OF_A_CODE) return
  keys.add(onceFor)
  distinct++
  lines++
  write(code, message)
}

function write(code: ErrorCode, message: string): void {
  try {
    writeSync(2, `[afterspan] ${code} ${printable(message)}\n`)
  } catch {
    // stderr is closed or full: nothing of ours is worth an error in the app
  }
}

/** The same for what may be news again; whoever calls it limits how often. */
export function sayAgain(code: ErrorCode, message: string): void {
  if (isSilent) return
  lines++
  write(code, message)
}

/** OTEL_LOG_LEVEL=none. Of this thread; the side thread is told by what it is started with. */
export function silence(): void {
  isSilent = true
}

export function isSilenced(): boolean {
  return isSilent
}

/** Control, escape and bidirectional characters as \uXXXX, so that no text from outside can move a terminal's cursor. */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

export function linesSaid(): number {
  return lines
}
