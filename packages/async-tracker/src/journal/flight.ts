// Requests in flight, one fixed slot each, in one small file of the process: <dir>/flight/<nonce>.<thread>.slots. A slot is
// overwritten by the next request, so the file does not grow with traffic, and nobody reads it before the process is dead.
import { closeSync, openSync, readFileSync, readdirSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { EpochMs, FlightLog, RequestReceived } from '@afterspan/core/internal'
import { makeFolder } from '../make-folder.ts'

const SLOT_BYTES = 256
const MOST_SLOTS = 16_384
const EMPTY = Buffer.from([0])

export interface FlightFile extends FlightLog {
  /** Takes the file away where nothing is in flight: for an orderly end. */
  remove(): void
  /** Takes away the notes that were released, because what stands for them goes. */
  emptyReleased(): void
}

/** A file that cannot be written is told once to `onTrouble`, and requests are not noted from then on. */
export function createFlightFile(
  dir: string,
  key: string,
  onTrouble: (error: NodeJS.ErrnoException) => void,
): FlightFile {
  const slot = Buffer.alloc(SLOT_BYTES)
  const free: number[] = []
  /** Free, but not empty. */
  const released = new Set<number>()
  let used = 0
  const { write, remove, attempt } = createSlots(dir, key, onTrouble)
  return {
    open: (request) =>
      attempt(() => {
        const number = free.pop() ?? (used < MOST_SLOTS ? used++ : -1)
        released.delete(number)
        if (number >= 0) write(slot, encode(slot, request), number)
        return number
      }),
    close(number) {
      attempt(() => {
        write(EMPTY, 1, number)
        free.push(number)
        return number
      })
    },
    release(number) {
      free.push(number)
      released.add(number)
    },
    emptyReleased() {
      attempt(() => {
        for (const number of released) write(EMPTY, 1, number)
        released.clear()
        return 0
      })
    },
    remove() {
      if (free.length < used) return
      released.clear()
      attempt(remove)
    },
  }
}

/** The file below, made when it is first written. */
function createSlots(
  dir: string,
  key: string,
  onTrouble: (error: NodeJS.ErrnoException) => void,
): {
  write(bytes: Buffer, length: number, number: number): void
  remove(): number
  /** Negative: it cannot be written, now or since long. */
  attempt(work: () => number): number
} {
  const path = flightPath(dir, key)
  let fd: number | undefined
  let isBroken = false
  return {
    write(bytes, length, number) {
      if (fd === undefined) {
        makeFolder(join(dir, 'flight'))
        fd = openSync(path, 'wx', 0o600)
      }
      writeSync(fd, bytes, 0, length, number * SLOT_BYTES)
    },
    remove() {
      if (fd === undefined) return 0
      closeSync(fd)
      fd = undefined
      unlinkSync(path)
      return 0
    },
    attempt(work) {
      if (isBroken) return -1
      try {
        return work()
      } catch (error) {
        isBroken = true
        onTrouble(error as NodeJS.ErrnoException)
        return -1
      }
    },
  }
}

function flightPath(dir: string, key: string): string {
  return join(dir, 'flight', `${key}.slots`)
}

/** One line of latin1: trace id, span id, sampled, time, parent or '-', method, target; a byte of length before it. */
function encode(into: Buffer, { origin, at, parentSpanId, method, target }: RequestReceived): number {
  const line = `${origin.traceId} ${origin.spanId} ${origin.sampled ? 1 : 0} ${at} ${parentSpanId ?? '-'} ${method} ${target}`
  const length = into.write(line, 1, SLOT_BYTES - 1, 'latin1')
  into[0] = length
  return length + 1
}

/** Requests that a process had in flight when it ended. For a process that is gone: of a living one it is a glance. */
export function readFlightFile(dir: string, key: string): RequestReceived[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(flightPath(dir, key))
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

export function removeFlightFile(dir: string, key: string): void {
  try {
    unlinkSync(flightPath(dir, key))
  } catch {
    // there is none
  }
}

/** Keys of the processes that have one. */
export function listFlightFiles(dir: string): string[] {
  try {
    return readdirSync(join(dir, 'flight'))
      .filter((file) => file.endsWith('.slots'))
      .map((file) => file.slice(0, -'.slots'.length))
  } catch {
    return []
  }
}
