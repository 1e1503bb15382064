/** Of one value, in all that is in it. */
const MOST_ITEMS = 1_000
const MOST_DEPTH = 16
/** So many times the longest text is in one attribute, be it of a span or of a log record. */
export const TEXTS = 16

export interface Bounds {
  /** Characters of one text, bytes of one piece of memory. */
  readonly longest: number
  /** Of all texts in the value. */
  readonly total: number
  /** What stays as it is, beside texts, numbers and booleans. */
  isLeaf(value: unknown): boolean
  /** An object that is told by what is in it. */
  isMap(value: object): boolean
}

/**
 * A copy that nobody else changes, and that is no larger than the bounds: an app may give a list of a million, or an object by which the
 * whole of a server is reached in a thousand ways. undefined for what is none of these, and where a getter throws. Inside of a list or an
 * object that is null, and so is what stands too deep, or in itself.
 */
export function boundedValue(value: unknown, bounds: Bounds): unknown {
  try {
    return new Copier(bounds).copy(value)
  } catch {
    return undefined
  }
}

class Copier {
  readonly #bounds: Bounds
  readonly #around = new Set<object>()
  #items = MOST_ITEMS
  #text: number

  constructor(bounds: Bounds) {
    this.#bounds = bounds
    this.#text = bounds.total
  }

  copy(value: unknown): unknown {
    if (typeof value === 'string') return value.slice(0, this.#take(value.length))
    if (typeof value === 'number' || typeof value === 'boolean' || this.#bounds.isLeaf(value)) return value
    return typeof value === 'object' && value !== null ? this.#object(value) : undefined
  }

  #object(value: object): unknown {
    // Not its own slice(): that of a Buffer is no copy.
    if (value instanceof Uint8Array) return Uint8Array.prototype.slice.call(value, 0, this.#take(value.length))
    if (this.#around.has(value) || this.#around.size >= MOST_DEPTH) return undefined
    const isList = Array.isArray(value)
    if (!isList && !this.#bounds.isMap(value)) return undefined
    this.#around.add(value)
    const copied = isList ? this.#list(value) : this.#map(value)
    this.#around.delete(value)
    return copied
  }

  #list(value: readonly unknown[]): unknown[] {
    const list: unknown[] = []
    for (let i = 0; i < value.length && this.#items-- > 0; i++) list.push(this.copy(value[i]) ?? null)
    return list
  }

  #map(value: object): unknown {
    const entries: [string, unknown][] = []
    for (const key of Object.keys(value)) {
      if (this.#items-- <= 0) break
      entries.push([key.slice(0, this.#take(key.length)), this.copy((value as Record<string, unknown>)[key]) ?? null])
    }
    return Object.fromEntries(entries)
  }

  /** How many of so many characters there is room for. */
  #take(length: number): number {
    const taken = Math.min(length, this.#bounds.longest, this.#text)
    this.#text -= taken
    return taken
  }
}
