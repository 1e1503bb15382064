// What a dead process had finished and not delivered: its span files become the spool's.
import { readdirSync, readFileSync, renameSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { removeSpooled, spooledName } from '@afterspan/core/internal'

/** Ids of the spans that are in the files of a process, those that it has left to the patrol included. */
export function leftSpanIds(dir: string, key: string): Set<string> {
  const ids = new Set<string>()
  for (const file of filesOf(dir, key)) for (const id of spansIn(read(dir, file)).ids) ids.add(id)
  return ids
}

/** Puts the files of processes that are dead among those that wait to be sent. What stands behind the last whole request is cut off: what death broke, and what the file held before. */
export function adoptLeftSpans(dir: string, isDead: (key: string) => boolean): void {
  for (const file of filesOf(dir)) {
    const [, key = '', number = ''] = LIVE.exec(file) ?? []
    if (!key || !isDead(key)) continue
    const bytes = read(dir, file)
    const { ids, length, hasError } = spansIn(bytes)
    if (ids.length === 0) removeSpooled(join(dir, 'spool'), file)
    else adopt(dir, file, { key, number: Number(number), spans: ids.length, isErrors: hasError }, bytes.length, length)
  }
}

function adopt(dir: string, file: string, as: Parameters<typeof spooledName>[0], bytes: number, length: number): void {
  try {
    if (length < bytes) truncateSync(join(dir, 'spool', file), length)
    renameSync(join(dir, 'spool', file), join(dir, 'spool', spooledName(as)))
  } catch {
    // the disk does not let us: tried again in the next round
  }
}

export function keysOfLeftSpans(dir: string): string[] {
  return filesOf(dir).map((file) => LIVE.exec(file)?.[1] ?? '')
}

const LIVE = /^(.+)\.(\d+)\.live$/

function filesOf(dir: string, key?: string): string[] {
  try {
    const files = readdirSync(join(dir, 'spool'))
    return key === undefined
      ? files.filter((file) => LIVE.test(file))
      : files.filter((file) => file.startsWith(`${key}.`))
  } catch {
    return []
  }
}

function read(dir: string, file: string): Buffer {
  try {
    return readFileSync(join(dir, 'spool', file))
  } catch {
    return Buffer.alloc(0)
  }
}

const RESOURCE_SPANS = 1
const SCOPE_SPANS = 2
const SPANS = 2
const SPAN_ID = 2
const STATUS = 15

/** Ids of the spans in whole export requests, one after the other, and how far those go. */
export function spansIn(bytes: Buffer): {
  readonly ids: string[]
  readonly length: number
  readonly hasError: boolean
} {
  const ids: string[] = []
  let hasError = false
  let length = 0
  try {
    for (const request of fields(bytes)) {
      if (request.number !== RESOURCE_SPANS) break
      for (const scope of fields(request.bytes))
        if (scope.number === SCOPE_SPANS)
          for (const span of fields(scope.bytes))
            if (span.number === SPANS)
              for (const field of fields(span.bytes)) {
                if (field.number === SPAN_ID) ids.push(field.bytes.toString('hex'))
                // In a status the code stands last, and 2 is an error.
                if (field.number === STATUS) hasError ||= field.bytes.at(-1) === 2
              }
      length = request.end
    }
  } catch {
    // cut off
  }
  return { ids, length, hasError }
}

interface Field {
  readonly number: number
  /** Empty for a number. */
  readonly bytes: Buffer
  readonly end: number
}

/** Throws where a field is cut off. */
function* fields(bytes: Buffer): Generator<Field> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let factor = 1; factor < 2 ** 56; factor *= 128) {
      const byte = bytes.readUInt8(at++)
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    throw new RangeError('not a number')
  }
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('cut off')
    return bytes.subarray(at, (at += length))
  }
  while (at < bytes.length) {
    const tag = varint()
    const kind = tag & 7
    let value: Buffer = EMPTY
    if (kind === 0) varint()
    else if (kind === 1) take(8)
    else if (kind === 5) take(4)
    else if (kind === 2) value = take(varint())
    else throw new RangeError('not a field')
    yield { number: tag >>> 3, bytes: value, end: at }
  }
}
const EMPTY = Buffer.alloc(0)
