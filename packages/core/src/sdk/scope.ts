import type { SpanScope } from './span-data.ts'

/** A scope as an app names it. JavaScript lets it do so by what is no text: a version that is a number, mostly. */
export function scopeOf(name: unknown, version?: unknown, schemaUrl?: unknown): SpanScope {
  const [named, versioned, described] = [name, version, schemaUrl].map(textOf)
  return {
    name: named!,
    ...(versioned ? { version: versioned } : {}),
    ...(described ? { schemaUrl: described } : {}),
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    return value === undefined || value === null ? '' : String(value as number)
  } catch {
    return ''
  }
}
