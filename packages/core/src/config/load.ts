import { say } from '../diag.ts'
import { NotAllowed, type ConfigOf, type Section } from './option.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** The process's environment. Read here and nowhere else. */
export function environment(): Env {
  return process.env
}

/** Values of one section. A bad value is said once, with the variable, the value and what is allowed, and the default is used. An empty value counts as unset, as OpenTelemetry has it. */
export function loadSection<S extends Section>(section: S, env: Env = process.env): ConfigOf<S> {
  const out: Record<string, unknown> = {}
  for (const [key, option] of Object.entries(section)) {
    const raw = env[option.env]
    out[key] = option.fallback
    if (raw === undefined || raw === '') continue
    try {
      out[key] = option.parse(raw)
    } catch (error) {
      const allowed = error instanceof NotAllowed ? error.message : 'another value'
      say(
        'AFS_CONFIG_INVALID',
        `${option.env}=${JSON.stringify(shown(option.env, raw))} is not valid: allowed is ${allowed}. Using ${JSON.stringify(option.fallback)}.`,
        option.env,
      )
    }
  }
  return out as ConfigOf<S>
}

/** Says which AFTERSPAN_* variables nobody knows, with the nearest known name. */
export function sayUnknown(known: readonly string[], env: Env = process.env): void {
  for (const name of Object.keys(env)) {
    if (!name.startsWith('AFTERSPAN_') || known.includes(name)) continue
    const near = nearest(name, known)
    say('AFS_CONFIG_UNKNOWN', `${name} is not a variable of Afterspan${near ? `; did you mean ${near}?` : '.'}`, name)
  }
}

/** The closest of the words by edit distance, if it is close enough to be a slip. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 4)) + 1
  for (const candidate of words) {
    const d = distance(word, candidate)
    if (d < bestDistance) {
      best = candidate
      bestDistance = d
    }
  }
  return best
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}

/** Secrets and addresses with a password in them are never repeated. */
function shown(env: string, raw: string): string {
  if (/TOKEN|HEADERS|SECRET|PASSWORD/.test(env)) return '…'
  // A password may hold any character where the address is not a valid one.
  if (env.endsWith('_LEDGER_URL')) return `${/^[a-z+]*:?/i.exec(raw)![0].slice(0, 20)}…`
  return raw.replace(/\/\/[^/@\s]*@/, '//…@').slice(0, 200)
}
