// Spans of a living process that no collector has yet, whole export requests one after the other, then a zero:
// <dir>/spool/<process>.<number>.live. What a process leaves there when it dies is the patrol's to send.
import { closeSync, fstatSync, ftruncateSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, makeRoom, spooledName, type SpanSpool, type SpoolFile } from '@afterspan/core/internal'
import { SlowDisk } from './slow-disk.ts'

export interface SpanFileSettings {
  readonly dir: string
  readonly key: string
  /** Of what waits in the folder, of all processes together. */
  readonly maxBytes: number
  /** Whether this process is one that its journal knows: nobody would look for what another leaves. */
  readonly isKnown: () => boolean
  /** Before spans are gone from a file. */
  readonly beforeGone: () => void
  /** Spans that had to go for others. */
  readonly onDropped: (spans: number) => void
}

export function createSpanFiles(settings: SpanFileSettings): SpanSpool {
  const state: State = { spare: [], disk: new SlowDisk(), number: 0, scratch: Buffer.allocUnsafe(4096) }
  return { begin: (isErrors) => new SpanFile(settings, state, isErrors) }
}

/** A file whose spans are delivered is used again: to overwrite costs a fraction of what a growing file does. */
interface OpenFile {
  readonly number: number
  readonly path: string
  readonly fd: number
}
const MOST_SPARE = 4

interface State {
  readonly spare: OpenFile[]
  readonly disk: SlowDisk
  number: number
  scratch: Buffer
}

class SpanFile implements SpoolFile {
  readonly #settings: SpanFileSettings
  readonly #state: State
  readonly #isErrors: boolean
  #file: OpenFile | undefined
  #keptAs: string | undefined
  #bytes = 0
  #isBroken = false

  constructor(settings: SpanFileSettings, state: State, isErrors: boolean) {
    this.#settings = settings
    this.#state = state
    this.#isErrors = isErrors
  }

  append(request: Uint8Array): boolean {
    const { disk } = this.#state
    if (this.#isBroken || disk.isLeftAlone || !this.#settings.isKnown()) return false
    const from = performance.now()
    try {
      this.#file ??= this.#takeSpare() ?? this.#open()
      this.#write(this.#file.fd, request)
    } catch {
      this.#isBroken = true
    }
    disk.wrote(from, performance.now())
    return !this.#isBroken
  }

  keep(spans: number): boolean {
    const { dir, key, maxBytes, beforeGone, onDropped } = this.#settings
    try {
      const wanted = { bytes: this.#bytes, isErrors: this.#isErrors, maxBytes, onDropped }
      if (!this.#file || this.#isBroken || !makeRoom(join(dir, 'spool'), wanted)) {
        this.#letGo()
        return false
      }
      const { number, path, fd } = this.#file
      beforeGone()
      this.#file = undefined
      ftruncateSync(fd, this.#bytes)
      closeSync(fd)
      this.#keptAs = join(dir, 'spool', spooledName({ key, number, spans, isErrors: this.#isErrors }))
      renameSync(path, this.#keptAs)
      return true
    } catch {
      return false
    }
  }

  discard(): void {
    try {
      if (this.#keptAs) unlinkSync(this.#keptAs)
      else this.#letGo()
    } catch {
      // gone already
    }
  }

  /** One that somebody has taken away is of no use: nobody would find what is written to it. */
  #takeSpare(): OpenFile | undefined {
    for (let file = this.#state.spare.pop(); file; file = this.#state.spare.pop()) {
      if (fstatSync(file.fd).nlink > 0) return file
      closeSync(file.fd)
    }
    return undefined
  }

  #open(): OpenFile {
    const { dir, key } = this.#settings
    makeFolder(join(dir, 'spool'))
    const number = this.#state.number++
    const path = join(dir, 'spool', `${key}.${number}.live`)
    return { number, path, fd: openSync(path, 'wx', 0o600) }
  }

  /** A zero stands behind what counts: the file may have held more once. */
  #write(fd: number, request: Uint8Array): void {
    const { length } = request
    if (this.#state.scratch.length <= length) this.#state.scratch = Buffer.allocUnsafe(2 * length)
    const { scratch } = this.#state
    scratch.set(request)
    scratch[length] = 0
    // A part of a request would make all that follows unreadable.
    this.#isBroken = writeSync(fd, scratch, 0, length + 1, this.#bytes) <= length
    this.#bytes += length
  }

  #letGo(): void {
    const file = this.#file
    if (!file) return
    this.#file = undefined
    this.#settings.beforeGone()
    if (this.#state.spare.length < MOST_SPARE && !this.#isBroken) {
      writeSync(file.fd, NOTHING, 0, 1, 0)
      this.#state.spare.push(file)
      return
    }
    closeSync(file.fd)
    unlinkSync(file.path)
  }
}

const NOTHING = Buffer.from([0])
