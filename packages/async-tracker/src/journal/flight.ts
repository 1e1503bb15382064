// Requests in flight, one fixed slot each, in one small file of the process: <dir>/flight/<nonce>.<thread>.slots. A slot is
// overwritten by the next request, so the file does not grow with traffic, and nobody reads it before the process is dead.
import { readFileSync } from 'node:fs'
import { codeAt, type EpochMs, type FlightLog, type RequestReceived } from '@afterspan/core/internal'
import { SlotFile, slotPath } from './slot-file.ts'

const SLOT_BYTES = 256
/** What the name of the file ends with. */
export const FLIGHT = '.slots'
const MOST_SLOTS = 16_384

export interface FlightFile extends FlightLog {
  /** Takes the file away where nothing is in flight: for an orderly end. */
  remove(): void
  /** Takes away the notes that were released, because what stands for them goes. */
  emptyReleased(): void
}

/** A file that cannot be written is told to `onTrouble`, and for some seconds requests are then not noted. */
export function createFlightFile(
  dir: string,
  key: string,
  onTrouble: (error: NodeJS.ErrnoException) => void,
): FlightFile {
  const file = new SlotFile(slotPath(dir, key, FLIGHT), SLOT_BYTES, onTrouble)
  const slot = Buffer.alloc(SLOT_BYTES)
  const free: number[] = []
  /** By slot, 1: free, but not empty. An array of numbers and no set: it is touched twice for every request. */
  const released: number[] = []
  return {
    open(request) {
      if (!file.isReady) return -1
      const number = free.pop() ?? (released.length < MOST_SLOTS ? released.push(0) - 1 : -1)
      if (number < 0) return number
      released[number] = 0
      if (file.write(slot, encode(slot, request), number)) return number
      free.push(number)
      return -1
    },
    close(number) {
      file.empty(number)
      free.push(number)
    },
    release(number) {
      free.push(number)
      released[number] = 1
    },
    emptyReleased() {
      for (let number = released.indexOf(1); number >= 0; number = released.indexOf(1, number + 1)) {
        released[number] = 0
        file.empty(number)
      }
    },
    remove() {
      if (free.length < released.length) return
      released.fill(0)
      file.remove()
    },
  }
}

const SPACE = 32
const DASH = 45
const ZERO = 48

/**
 * One line of latin1: trace id, span id, sampled, time, parent or '-', method, target; a byte of length before it. Character by
 * character: a line that is first put together costs the request four times as much.
 */
function encode(into: Buffer, { origin, at, parentSpanId, method, target }: RequestReceived): number {
  let end = text(into, origin.traceId, 1)
  into[end++] = SPACE
  end = text(into, origin.spanId, end)
  into[end++] = SPACE
  into[end++] = origin.sampled ? ZERO + 1 : ZERO
  into[end++] = SPACE
  end = digits(into, at, end)
  into[end++] = SPACE
  if (parentSpanId === undefined) into[end++] = DASH
  else end = text(into, parentSpanId, end)
  into[end++] = SPACE
  end = text(into, method, end)
  into[end++] = SPACE
  end = text(into, target, end)
  end = Math.min(end, SLOT_BYTES)
  into[0] = end - 1
  return end
}

/** Returns where it ends; what has no room is cut off. */
function text(into: Buffer, characters: string, at: number): number {
  const length = Math.min(characters.length, SLOT_BYTES - at)
  for (let i = 0; i < length; i++) into[at + i] = codeAt(characters, i)
  return at + length
}

/** A time, sixteen digits of it; in two halves, because whole numbers of 32 bits are the fast ones. */
function digits(into: Buffer, value: number, at: number): number {
  let high = Math.floor(value / 1e8)
  let low = value - high * 1e8
  for (let i = 7; i >= 0; i--) {
    into[at + i] = ZERO + (high % 10)
    into[at + 8 + i] = ZERO + (low % 10)
    high = Math.floor(high / 10)
    low = Math.floor(low / 10)
  }
  return at + 16
}

/** Requests that a process had in flight when it ended. For a process that is gone: of a living one it is a glance. */
export function readFlightFile(dir: string, key: string): RequestReceived[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(slotPath(dir, key, FLIGHT))
  } catch {
    return []
  }
  const requests: RequestReceived[] = []
  for (let at = 0; at + 1 < bytes.length; at += SLOT_BYTES) {
    const length = bytes[at]!
    const request = length > 0 ? parse(bytes.toString('latin1', at + 1, at + 1 + length)) : undefined
    if (request) requests.push(request)
  }
  return requests
}

function parse(line: string): RequestReceived | undefined {
  const found = /^([0-9a-f]{32}) ([0-9a-f]{16}) ([01]) (\d{1,16}) (-|[0-9a-f]{16}) (\S{1,32}) (.*)$/s.exec(line)
  if (!found) return undefined
  const [, traceId = '', spanId = '', sampled, at, parent = '-', method = '', target = ''] = found
  return {
    origin: { traceId, spanId, sampled: sampled === '1' },
    at: Number(at) as EpochMs,
    method,
    target,
    ...(parent === '-' ? {} : { parentSpanId: parent }),
  }
}
