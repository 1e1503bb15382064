import { boundedValue, TEXTS } from './bounded-value.ts'

/**
 * A copy that nobody else changes, texts cut at `most` characters, lists and objects bounded; undefined for what no attribute can be: a
 * function, a bigint, an object of a class, one whose getter throws. Inside of a list or an object that is null.
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
      return value === null ? undefined : boundedValue(value, { longest: most, total: TEXTS * most, isLeaf, isMap })
    default:
      return undefined
  }
}

function isLeaf(): boolean {
  return false
}

function isMap(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
