import type { SpoolFile } from '../../contracts/span-spool.ts'
import type { SpanScope } from '../span-data.ts'
import type { SpanChunk } from './encode.ts'

const FIRST_BYTES = 16 * 1024
const MOST_SPARE = 8
/** Memory of batches that have been delivered. Without it every export would be new memory outside of the heap, which the collector is slow to give back. */
const spare: Buffer[] = []

interface Chunk extends SpanChunk {
  bytes: Buffer
  length: number
  /** So much of it is in the file. */
  written: number
}

/** Encoded spans of one export, by scope, each scope in one piece of memory: an array for every span is what a garbage collector notices. */
export class SpanBatch {
  spans = 0
  bytes = 0
  readonly isErrors: boolean
  readonly file: SpoolFile | undefined
  #isWritten = true
  readonly #chunks: Chunk[] = []
  readonly #byScope = new Map<SpanScope, Chunk>()

  constructor(isErrors: boolean, file: SpoolFile | undefined) {
    this.isErrors = isErrors
    this.file = file
  }

  add(scope: SpanScope, field: Uint8Array): void {
    let chunk = this.#byScope.get(scope)
    if (!chunk) {
      chunk = { scope, bytes: spare.pop() ?? Buffer.allocUnsafe(FIRST_BYTES), length: 0, written: 0 }
      this.#chunks.push(chunk)
      this.#byScope.set(scope, chunk)
    }
    if (chunk.length + field.length > chunk.bytes.length) grow(chunk, field.length)
    chunk.bytes.set(field, chunk.length)
    chunk.length += field.length
    this.spans++
    this.bytes += field.length
    this.#isWritten = false
  }

  /** Brings what is new into the file. False: not all of it is there. */
  write(encode: (chunks: readonly SpanChunk[]) => Uint8Array): boolean {
    if (this.#isWritten) return true
    if (!this.file?.append(encode(this.#chunks))) return false
    for (const chunk of this.#chunks) chunk.written = chunk.length
    this.#isWritten = true
    return true
  }

  /** The first half of its spans and the others, as batches of their own that `begin` makes. */
  halves(begin: (isErrors: boolean) => SpanBatch): readonly SpanBatch[] {
    const first = begin(this.isErrors)
    const second = begin(this.isErrors)
    for (const { scope, bytes, length } of this.#chunks)
      for (const field of spanFields(bytes.subarray(0, length)))
        (first.spans < this.spans >> 1 ? first : second).add(scope, field)
    return [first, second]
  }

  /** Gives the memory away: nothing may read it any more. */
  release(): void {
    for (const { bytes } of this.#chunks) if (spare.length < MOST_SPARE) spare.push(bytes)
    this.#chunks.length = 0
    this.#byScope.clear()
  }

  groups(): { readonly scope: SpanScope; readonly fields: readonly Uint8Array[] }[] {
    return this.#chunks.map(({ scope, bytes, length }) => ({ scope, fields: [bytes.subarray(0, length)] }))
  }
}

/** Each with its tag of one byte and its length. */
function* spanFields(bytes: Buffer): Generator<Buffer> {
  for (let from = 0; from < bytes.length;) {
    let at = from + 1
    let length = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes.readUInt8(at++)
      length += (byte & 127) * factor
      if (byte < 128) break
    }
    yield bytes.subarray(from, (from = at + length))
  }
}

function grow(chunk: Chunk, by: number): void {
  const bigger = Buffer.allocUnsafe(Math.max(chunk.bytes.length * 2, chunk.length + by))
  chunk.bytes.copy(bigger, 0, 0, chunk.length)
  chunk.bytes = bigger
}
