import { subscribe } from 'node:diagnostics_channel'
import { getCallSites, stripVTControlCharacters, types } from 'node:util'
import { activeInFlight } from './in-flight.ts'
import type { LoggedError } from './logged-error.ts'
import { activeRequest } from './request-record.ts'
import { hasNext } from './routes/next.ts'
import { failBehind, isAnswered } from './thrown-behind.ts'

/** Remembers what a request has put on the console. Node tells of it: `console` stays as it is. */
export function watchLoggedErrors(): void {
  subscribe('console.error', (args) => {
    try {
      const error = loggedIn(args as readonly unknown[])
      if (!error) return
      activeInFlight()?.hasLogged(error, 'console')
      const record = activeRequest()
      if (record && isAnswered(record) && hasNext() && isByNext()) failBehind(record, error)
    } catch {
      // the line goes out all the same
    }
  })
}

/** What a handler of an API route throws behind its response Next.js prints, and nothing else: no file of the app has a part in that call. */
function isByNext(): boolean {
  const files = getCallSites(MOST_FRAMES, { sourceMap: false }).map(({ scriptName }) => scriptName)
  const others = files.filter((file) => !file.startsWith('node:') && !file.startsWith(__dirname))
  return others.length > 0 && others.every((file) => /[\\/]next[\\/]dist[\\/]/.test(file))
}
const MOST_FRAMES = 30

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
