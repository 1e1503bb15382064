/**
 * A copy that nobody else changes, texts cut at `most` characters; undefined for what no attribute can be: a function, a bigint, an object of a
 * class, one whose getter throws. Inside of a list or an object that is null, and so is an object that is met again: a cycle would have no end.
 * https://opentelemetry.io/docs/specs/otel/common/#anyvalue
 */
export function cleanValue(value: unknown, most: number): unknown {
  switch (typeof value) {
    case 'string':
      return value.length > most ? value.slice(0, most) : value
    case 'number':
    case 'boolean':
      return value
    case 'object':
      return value === null ? undefined : copyOf(value, most)
    default:
      return undefined
  }
}

function copyOf(value: object, most: number): unknown {
  const met = new Set<object>()
  const copy = (one: object): unknown => {
    if (one instanceof Uint8Array) return one.slice(0, most)
    if (met.has(one)) return undefined
    met.add(one)
    if (Array.isArray(one)) return one.map(item)
    const prototype: unknown = Object.getPrototypeOf(one)
    if (prototype !== Object.prototype && prototype !== null) return undefined
    return Object.fromEntries(Object.entries(one).map(([key, inner]) => [key, item(inner)]))
  }
  const item = (one: unknown): unknown =>
    (typeof one === 'object' && one !== null ? copy(one) : cleanValue(one, most)) ?? null
  try {
    return copy(value)
  } catch {
    return undefined // a getter that throws, or deeper than the stack
  }
}
