// What handlers that catch for themselves give to the app's logger before they answer a 5xx. The line stays what it is: of each logger
// the one method is asked that all its lines go through, where only lines that are errors are looked at.
import type { ModuleHook } from '../contracts/module-hook.ts'
import { pinoPrototype } from '../instrument/pino-prototype.ts'
import { replaceMethod } from '../instrument/replace-method.ts'
import { activeInFlight } from './in-flight.ts'
import { described, errorAmong } from './logged-errors.ts'
import type { LoggedError } from './logged-error.ts'

const ERROR_LEVEL = 50
const LEVEL = Symbol.for('level')
const SPLAT = Symbol.for('splat')
const WINSTON_LEVELS = new Set<unknown>(['error', 'fatal', 'crit', 'critical', 'alert', 'emerg'])

type Fields = Readonly<Record<PropertyKey, unknown>>

export function loggerHooks(): readonly ModuleHook[] {
  return [pinoHook, winstonHook, bunyanHook]
}

const pinoHook: ModuleHook = {
  name: 'pino',
  module: 'pino',
  versions: '>=7 <11',
  isQuiet: true,
  patch(pino) {
    const { writeSym } = pino.symbols as { readonly writeSym: symbol }
    replaceMethod(
      pinoPrototype(pino, writeSym),
      writeSym,
      (write) =>
        function (this: unknown, fields: unknown, message: unknown, level: unknown) {
          if ((level as number) >= ERROR_LEVEL) hears(fields)
          return write.call(this, fields, message, level)
        },
    )
  },
}

const winstonHook: ModuleHook = {
  name: 'winston',
  module: 'winston',
  versions: '>=3 <4',
  isQuiet: true,
  patch({ Logger: { prototype } }) {
    replaceMethod(
      prototype,
      'write',
      (write) =>
        function (this: unknown, info: unknown, ...rest: unknown[]) {
          if (isObject(info) && WINSTON_LEVELS.has(info[LEVEL] ?? info['level'])) {
            hears(info)
            const given = info[SPLAT]
            if (Array.isArray(given)) for (const each of given) hears(each)
          }
          return write.call(this, info, ...rest)
        },
    )
  },
}

const bunyanHook: ModuleHook = {
  name: 'bunyan',
  module: 'bunyan',
  versions: '>=1 <3',
  isQuiet: true,
  patch({ prototype }) {
    replaceMethod(
      prototype,
      '_emit',
      (emit) =>
        function (this: unknown, record: unknown, ...rest: unknown[]) {
          if (isObject(record) && Number(record['level']) >= ERROR_LEVEL) hears(record)
          return emit.call(this, record, ...rest)
        },
    )
  },
}

/** An error, or an object that has one by a name that people use. */
function hears(given: unknown): void {
  try {
    const error = errorAmong([given]) ?? (isObject(given) ? errorIn(given) : undefined)
    if (error) activeInFlight()?.hasLogged(error, 'log')
  } catch {
    // an object of the app's may throw where it is read: its line goes out all the same
  }
}

function errorIn({ err, error, exception }: Fields): LoggedError | undefined {
  return errorAmong([err, error, exception]) ?? (isDescribed(err) ? described(err) : undefined)
}

/** As bunyan has made it of an error. */
function isDescribed(value: unknown): value is LoggedError {
  return isObject(value) && ['name', 'message', 'stack'].every((key) => typeof value[key] === 'string')
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}
