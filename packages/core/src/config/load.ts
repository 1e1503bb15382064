import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'
import { say } from '../diag.ts'
import { NotAllowed, type ConfigOf, type Section } from './option.ts'

export type Env = Readonly<Record<string, string | undefined>>

const INHERITED = 'afterspan.environment'

/** The process's environment. Read here and nowhere else. A worker thread may have been given another one: what configures us is then the process's, unless the thread's own says otherwise. */
export function environment(): Env {
  if (!isMainThread) return { ...(getEnvironmentData(INHERITED) as Env | undefined), ...process.env }
  if (getEnvironmentData(INHERITED) === undefined) {
    const ours = Object.entries(process.env).filter(([name]) =>
      /^(?:OTEL_|AFTERSPAN_|XDG_STATE_HOME$|STATE_DIRECTORY$|HOME$)/.test(name),
    )
    setEnvironmentData(INHERITED, Object.fromEntries(ours))
  }
  return process.env
}

/** Values of one section. A bad value is said once, with the variable, the value and what is allowed, and the default is used. An empty value counts as unset, as OpenTelemetry has it. Worker threads share the environment, and are silent. */
export function loadSection<S extends Section>(section: S, env: Env = environment()): ConfigOf<S> {
  const out: Record<string, unknown> = {}
  for (const [key, option] of Object.entries(section)) {
    const raw = env[option.env]?.trim() // of a file or a list, as they are often filled in from
    out[key] = option.fallback
    if (raw === undefined || raw === '') continue
    try {
      out[key] = option.parse(raw)
    } catch (error) {
      if (error instanceof NotAllowed && error.rest !== undefined) out[key] = error.rest
      if (isMainThread) sayInvalid(option.env, raw, error, out[key])
    }
  }
  return out as ConfigOf<S>
}

function sayInvalid(env: string, raw: string, error: unknown, used: unknown): void {
  const allowed = error instanceof NotAllowed ? error.message : 'another value'
  const value = JSON.stringify(shown(env, raw))
  say('AFS_CONFIG_INVALID', `${env}=${value} is not valid: allowed is ${allowed}. ${insteadOf(env, used)}`, env)
}

/** In the words of the variable, where it has some for it. */
function insteadOf(env: string, used: unknown): string {
  if (used === undefined || used === '') return 'It is left out.'
  if (typeof used !== 'object' || used === null) return `Using ${JSON.stringify(used)}.`
  // Of headers only the names: a value may be a secret.
  const words = Array.isArray(used) ? used.map(String) : env.endsWith('HEADERS') ? Object.keys(used) : undefined
  if (words) return words.length === 0 ? 'It is left out.' : `Using ${JSON.stringify(words.join(','))}.`
  return Object.keys(used).length === 0 ? 'It is left out.' : 'The default is used.'
}

/** Says which AFTERSPAN_* variables nobody knows, with the nearest known name. */
export function sayUnknown(known: readonly string[], env: Env = environment()): void {
  if (!isMainThread) return
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

/** How many letters must be changed, added or taken away. */
export function distance(a: string, b: string): number {
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
  if (/_(?:LEDGER|WEBHOOK)_URL$/.test(env)) return `${/^[a-z+]*:?/i.exec(raw)![0].slice(0, 20)}…`
  return raw.replace(/\/\/.*@/s, '//…@').slice(0, 200)
}
