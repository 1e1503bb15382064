import { subscribe } from 'node:diagnostics_channel'
import { stripVTControlCharacters, types } from 'node:util'
import { activeInFlight } from './in-flight.ts'
import type { LoggedError } from './logged-error.ts'

/** Remembers what a request has put on the console. Node tells of it: `console` stays as it is. */
export function watchLoggedErrors(): void {
  subscribe('console.error', (args) => {
    try {
      const error = loggedIn(args as readonly unknown[])
      if (error) activeInFlight()?.hasLogged(error, 'console')
    } catch {
      // the line goes out all the same
    }
  })
}

export function errorAmong(values: readonly unknown[]): LoggedError | undefined {
  const error = values.find(types.isNativeError)
  return error && thrownBy(error)
}

function loggedIn(args: readonly unknown[]): LoggedError | undefined {
  const error = errorAmong(args)
  if (error) return error
  for (const text of args) {
    const read = typeof text === 'string' ? errorInText(text) : undefined
    if (read) return read
  }
  return undefined
}

/** Without a class: what an error is called is looked for there first. */
export function described({ name, message, stack }: LoggedError): LoggedError {
  return Object.assign(Object.create(null) as object, { name, message, stack })
}

/** h3, and with it Nitro and Nuxt, puts an error of its own around what a handler has thrown. */
function thrownBy(error: Error & { readonly unhandled?: unknown }): Error {
  return error.unhandled === true && types.isNativeError(error.cause) ? error.cause : error
}

const FRAME = '\n    at '
const NAME = /(?:^|[\s:])([A-Z][\w$]*(?:Error|Exception)|Error)(?: \[[A-Z_\d]+\])?(?:: |$)/m

/** Of a text with a stack in it, as `console.error(error.stack)` prints it: SvelteKit and Astro do. Pure. */
export function errorInText(text: string): LoggedError | undefined {
  const at = text.indexOf(FRAME)
  if (at < 0) return undefined
  const head = stripVTControlCharacters(text.slice(0, at).slice(-LONGEST_HEAD))
  const found = NAME.exec(head)
  if (!found) return undefined
  const [whole, name] = found as unknown as [string, string]
  const message = head.slice(found.index + whole.length)
  const rest = stripVTControlCharacters(text.slice(at, at + LONGEST_STACK))
  const stack = head.slice(found.index).trimStart() + rest
  return described({ name, message, stack })
}
const LONGEST_HEAD = 4_096
const LONGEST_STACK = 16_384
