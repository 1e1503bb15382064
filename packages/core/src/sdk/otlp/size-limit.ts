import { gzipSync } from 'node:zlib'
import type { OtlpSettings } from './settings.ts'

/** Refusals of what is too large: a part of it may be taken. */
export const TOO_LARGE: ReadonlySet<string> = new Set(['http_413', 'grpc_too_large'])

/** A collector, or the proxy before it, may be given another limit. */
const MOST_KNOWN_MS = 60_000

/** What a collector has lately found too large: it is not asked again for what is no smaller, or one that takes nothing would be asked for each half of each half. */
export class SizeLimit {
  readonly #isZipped: boolean
  #refused = Infinity
  #knownUntil = 0

  constructor({ compression }: Pick<OtlpSettings, 'compression'>) {
    this.#isZipped = compression === 'gzip'
  }

  refused(request: readonly Uint8Array[]): void {
    const now = performance.now()
    this.#refused = Math.min(this.#known(now), this.#weigh(request))
    this.#knownUntil = now + MOST_KNOWN_MS
  }

  isBeyond(request: readonly Uint8Array[]): boolean {
    const known = this.#known(performance.now())
    return known < Infinity && this.#weigh(request) >= known
  }

  #known(now: number): number {
    return now < this.#knownUntil ? this.#refused : Infinity
  }

  /** As it is on its way. */
  #weigh(request: readonly Uint8Array[]): number {
    if (this.#isZipped) return gzipSync(Buffer.concat(request)).length
    return request.reduce((sum, { length }) => sum + length, 0)
  }
}
