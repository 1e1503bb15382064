const MOST_DEPTH = 32

/** A copy that nobody else changes, texts cut at `most` characters; undefined for what no attribute can be (a function, a bigint, a cycle). https://opentelemetry.io/docs/specs/otel/common/#anyvalue */
export function cleanValue(value: unknown, most: number): unknown {
  switch (typeof value) {
    case 'string':
      return value.length > most ? value.slice(0, most) : value
    case 'number':
    case 'boolean':
      return value
    case 'object':
      return value === null ? undefined : copyOf(value, most, 0)
    default:
      return undefined
  }
}

function copyOf(value: object, most: number, depth: number): unknown {
  if (depth > MOST_DEPTH) return undefined
  if (value instanceof Uint8Array) return value.slice(0, most)
  const item = (one: unknown): unknown =>
    typeof one === 'object' && one !== null ? copyOf(one, most, depth + 1) : (cleanValue(one, most) ?? null)
  if (Array.isArray(value)) return value.map(item)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return undefined
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, item(one)]))
}
