import { isLegalHeader } from '../http/legal-header.ts'

/** One row of configuration: where it comes from, what it means, what is used without it. `parse` throws with what is allowed. */
export interface Option<T> {
  readonly env: string
  readonly doc: string
  readonly fallback: T
  parse(raw: string): T
}
export type Section = Readonly<Record<string, Option<unknown>>>
export type ConfigOf<S extends Section> = { readonly [K in keyof S]: S[K] extends Option<infer T> ? T : never }

/** The message names what is allowed; the loader adds the variable and its value. */
export class NotAllowed extends Error {
  /** What of the value can be used all the same, instead of the fallback. */
  readonly rest: unknown
  constructor(message: string, rest?: unknown) {
    super(message)
    this.rest = rest
  }
}

export function text(env: string, doc: string, fallback = ''): Option<string> {
  return { env, doc, fallback, parse: (raw) => raw }
}
/** Text of a form of its own; `allowed` says which. */
export function checked(
  env: string,
  doc: string,
  fallback: string,
  { isAllowed, allowed }: { readonly isAllowed: (raw: string) => boolean; readonly allowed: string },
): Option<string> {
  return {
    env,
    doc,
    fallback,
    parse(raw) {
      if (!isAllowed(raw)) throw new NotAllowed(allowed)
      return raw
    },
  }
}
/** A secret that is too short is refused, and never repeated. */
export function secret(env: string, doc: string, leastLength: number): Option<string> {
  return {
    env,
    doc,
    fallback: '',
    parse(raw) {
      if (raw.length < leastLength) throw new NotAllowed(`a text of ${leastLength} characters or more`)
      return raw
    },
  }
}
export function integer(
  env: string,
  doc: string,
  fallback: number,
  range: { readonly min: number; readonly max: number },
): Option<number> {
  return {
    env,
    doc,
    fallback,
    parse(raw) {
      const n = Number(raw)
      if (!/^\d+$/.test(raw.trim()) || n < range.min || n > range.max)
        throw new NotAllowed(`a whole number from ${range.min} to ${range.max}`)
      return n
    },
  }
}
/** Unset it is undefined: another option, or nothing at all, decides then. */
export function optionalInteger(
  env: string,
  doc: string,
  range: { readonly min: number; readonly max: number },
): Option<number | undefined> {
  return { ...integer(env, doc, 0, range), fallback: undefined }
}
export function ratio(env: string, doc: string, fallback: number): Option<number> {
  return {
    env,
    doc,
    fallback,
    parse(raw) {
      const n = Number(raw)
      if (raw.trim() === '' || !(n >= 0 && n <= 1)) throw new NotAllowed('a number from 0 to 1')
      return n
    },
  }
}
export function flag(env: string, doc: string, fallback = false): Option<boolean> {
  return {
    env,
    doc,
    fallback,
    parse(raw) {
      const word = raw.trim().toLowerCase()
      if (['1', 'true', 'on', 'yes'].includes(word)) return true
      if (['0', 'false', 'off', 'no'].includes(word)) return false
      throw new NotAllowed('true or false')
    },
  }
}
/** As OpenTelemetry has its booleans: what is not `true` is false. */
export function trueOnly(env: string, doc: string): Option<boolean> {
  return {
    env,
    doc,
    fallback: false,
    parse(raw) {
      const word = raw.trim().toLowerCase()
      if (word !== 'true' && word !== 'false') throw new NotAllowed('true or false')
      return word === 'true'
    },
  }
}
/** `hint` is added to what is allowed. */
export function oneOf<const W extends string, F extends W | undefined = W>(
  env: string,
  doc: string,
  words: readonly W[],
  fallback: F,
  hint = '',
): Option<W | F> {
  return {
    env,
    doc,
    fallback,
    parse(raw) {
      const word = words.find((w) => w === raw.trim().toLowerCase())
      if (word === undefined)
        throw new NotAllowed(words.length === 1 ? `${words[0]!}${hint}` : `one of ${words.join(', ')}${hint}`)
      return word
    },
  }
}
/** Some of the words; `alone` stands for none of the others. */
export function someOf<const W extends string>(
  env: string,
  doc: string,
  { words, alone, hint = '' }: { readonly words: readonly W[]; readonly alone: W; readonly hint?: string },
  fallback: readonly W[],
): Option<readonly W[]> {
  return {
    env,
    doc,
    fallback,
    parse(raw) {
      const asked = new Set(raw.split(',').map((part) => part.trim().toLowerCase()))
      asked.delete('')
      // In the order in which they were asked for: of propagators that can be read the last one counts.
      const known = [...asked].flatMap((name) => words.find((word) => word === name) ?? [])
      const isContradiction = known.length > 1 && asked.has(alone)
      if (known.length === asked.size && known.length > 0 && !isContradiction) return known
      const others = words.filter((word) => word !== alone)
      const commas = others.length > 1 ? ' with commas between them' : ''
      const rest = known.length > 0 && !isContradiction ? known : undefined
      throw new NotAllowed(`${others.join(', ')}${commas}, or ${alone}${hint}`, rest)
    },
  }
}
export function list(env: string, doc: string, fallback: readonly string[] = []): Option<readonly string[]> {
  return {
    env,
    doc,
    fallback,
    parse: (raw) =>
      raw
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
  }
}
/** Some of these names. Others are said, and left out. */
export function names(env: string, doc: string, known: readonly string[]): Option<readonly string[]> {
  const { parse, ...row } = list(env, doc)
  return {
    ...row,
    parse(raw) {
      const asked = parse(raw)
      const unknown = asked.filter((name) => !known.includes(name))
      if (unknown.length === 0) return asked
      const rest = asked.filter((name) => known.includes(name))
      throw new NotAllowed('names of instrumentations, such as http, undici, express, pg', rest)
    },
  }
}
/** `key=value,key=value`, percent-decoded, as OTEL_RESOURCE_ATTRIBUTES and OTEL_EXPORTER_OTLP_HEADERS are. */
export function keyValues(env: string, doc: string): Option<Readonly<Record<string, string>>> {
  return {
    env,
    doc,
    fallback: {},
    parse(raw) {
      const out: Record<string, string> = Object.create(null)
      for (const [key, value] of pairsIn(raw)) out[key] = value
      return out
    },
  }
}

/** Throws by the first that is none. */
function* pairsIn(raw: string): Generator<readonly [string, string]> {
  for (const pair of raw.split(',')) {
    if (pair.trim() === '') continue
    const at = pair.indexOf('=')
    if (at < 1) throw new NotAllowed('key=value pairs with commas between them')
    try {
      yield [decodeURIComponent(pair.slice(0, at).trim()), decodeURIComponent(pair.slice(at + 1).trim())]
    } catch {
      throw new NotAllowed('key=value pairs whose percent-escapes are valid')
    }
  }
}
/** The same, of headers. What is no pair, or none that HTTP allows, is left out alone: with it no export would leave the process, and without the others none would be let in. */
export function headers(env: string, doc: string): Option<Readonly<Record<string, string>>> {
  return {
    env,
    doc,
    fallback: {},
    parse(raw) {
      const good: Record<string, string> = {}
      let isWhole = true
      for (const part of raw.split(',')) {
        const pair = headerIn(part)
        if (pair) good[pair[0]] = pair[1]
        else if (part.trim() !== '') isWhole = false
      }
      if (isWhole) return good
      throw new NotAllowed('key=value pairs that are headers of HTTP', good)
    },
  }
}

function headerIn(part: string): readonly [string, string] | undefined {
  try {
    const [pair] = pairsIn(part)
    return pair && isLegalHeader(...pair) ? pair : undefined
  } catch {
    return undefined
  }
}

export function httpUrl(env: string, doc: string, fallback = ''): Option<string> {
  return {
    env,
    doc,
    fallback,
    parse(raw) {
      let url: URL
      try {
        url = new URL(raw)
      } catch {
        throw new NotAllowed('an address that starts with http:// or https://')
      }
      if (url.protocol !== 'http:' && url.protocol !== 'https:')
        throw new NotAllowed('an address that starts with http:// or https://')
      return raw
    },
  }
}
/** As `httpUrl`, or host:port, which gRPC takes. */
export function collectorAddress(env: string, doc: string): Option<string> {
  const { parse, ...row } = httpUrl(env, doc)
  return { ...row, parse: (raw) => (/^(?:\[[\da-f:.]+\]|[\w.-]+):\d{1,5}$/i.test(raw) ? raw : parse(raw)) }
}
/** The same option; unset it is undefined: another one decides then. */
export function optional<T>(option: Option<T>): Option<T | undefined> {
  return { ...option, fallback: undefined }
}
/** Address of a database. It may hold a password: of a refused one only the scheme is repeated. */
export function postgresUrl(env: string, doc: string): Option<string> {
  return {
    env,
    doc,
    fallback: '',
    parse(raw) {
      const isOne = /^postgres(ql)?:\/\//.test(raw) && URL.canParse(raw)
      if (!isOne) throw new NotAllowed('an address that starts with postgres:// or postgresql://')
      return raw
    },
  }
}
