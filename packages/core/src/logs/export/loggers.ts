// Lines of pino, bunyan and winston as records: what the logger itself has made of them, with its redaction, its serializers and its levels.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { pinoPrototype } from '../../instrument/pino-prototype.ts'
import { activeIds, type LogIds } from '../log-ids.ts'
import type { SendLog } from './log-entry.ts'
import { severityOfLevel, severityOfName } from './severity.ts'

type Fields = Record<string, unknown>

/** What is patched already: an app may load a package both ways, and both lead to one prototype. */
const patched = new WeakSet<object>()

function isFirst(prototype: object): boolean {
  if (patched.has(prototype)) return false
  patched.add(prototype)
  return true
}

export function loggerHooks(send: SendLog): readonly ModuleHook[] {
  return [pinoHook(send), bunyanHook(send), winstonHook(send)]
}

interface Pino {
  (options: { readonly enabled: false }, stream: { write(line: string): void }): object
  readonly symbols: { readonly asJsonSym: symbol; readonly messageKeySym: symbol }
  readonly levels: { readonly labels: Readonly<Record<string, string>> }
}

/** The line that pino has made, of which its redaction has taken out what nobody may see. */
function pinoHook(send: SendLog): ModuleHook {
  return {
    name: 'pino',
    module: 'pino',
    versions: '>=7 <11',
    patch(pino: Pino) {
      const { asJsonSym, messageKeySym } = pino.symbols
      const prototype = pinoPrototype(pino, asJsonSym)
      if (!isFirst(prototype)) return
      const asJson = prototype[asJsonSym] as (object: unknown, message: unknown, level: number, time: string) => string
      prototype[asJsonSym] = function (this: Record<symbol, unknown>, object: unknown, message: unknown, level, time) {
        const line = asJson.call(this, object, message, level, time)
        send(() => {
          const key = (this[messageKeySym] ?? 'msg') as string
          const { [key]: body, level: _level, time: _time, ...rest } = JSON.parse(line) as Fields
          const labels = (this as { levels?: Pino['levels'] }).levels?.labels ?? pino.levels.labels
          return {
            scope: { name: 'pino' },
            observedMs: Date.now(),
            timeMs: Date.now(),
            severity: severityOfLevel(level),
            severityText: labels[level],
            body,
            attributes: attributesOf(rest),
            ids: activeIds(),
          }
        })
        return line
      } as typeof asJson
    },
  }
}

type Emit = (this: unknown, record: Fields, noEmit?: boolean) => unknown
interface Bunyan {
  readonly prototype: { _emit: Emit }
  readonly nameFromLevel?: Readonly<Record<number, string>>
}

function bunyanHook(send: SendLog): ModuleHook {
  return {
    name: 'bunyan',
    module: 'bunyan',
    versions: '>=1 <3',
    patch({ prototype, nameFromLevel = {} }: Bunyan) {
      if (!isFirst(prototype)) return
      const { _emit: emit } = prototype
      prototype._emit = function (record, noEmit) {
        const written = emit.call(this, record, noEmit)
        if (noEmit !== true)
          send(() => {
            const { msg, level, time, v: _version, name, ...rest } = record
            return {
              scope: { name: 'bunyan' },
              observedMs: Date.now(),
              timeMs: time instanceof Date ? time.getTime() : undefined,
              severity: severityOfLevel(Number(level)),
              severityText: nameFromLevel[Number(level)],
              body: msg,
              attributes: attributesOf({ name, ...rest }),
              ids: activeIds(),
            }
          })
        return written
      }
    },
  }
}

interface WinstonLogger {
  write(info: unknown, ...rest: unknown[]): boolean
  push(info: unknown, ...rest: unknown[]): boolean
  isLevelEnabled?(level: string): boolean
}
const LEVEL = Symbol.for('level')

/** What the logger's format has made of it. Behind a transport that is slow it is made later, in nobody's context: the ids are those of the call. */
function winstonHook(send: SendLog): ModuleHook {
  return {
    name: 'winston',
    module: 'winston',
    versions: '>=3 <4',
    patch({ Logger: { prototype } }: { readonly Logger: { readonly prototype: WinstonLogger } }) {
      if (!isFirst(prototype)) return
      const idsOf = new WeakMap<object, LogIds | undefined>()
      const { write, push } = prototype
      prototype.write = function (info, ...rest) {
        if (isObject(info)) idsOf.set(info, activeIds())
        return write.call(this, info, ...rest)
      }
      prototype.push = function (info, ...rest) {
        const level = levelOf(this, info)
        if (level !== undefined)
          send(() => {
            const { level: _level, message, ...fields } = info as Fields
            return {
              scope: { name: 'winston' },
              observedMs: Date.now(),
              timeMs: Date.now(),
              severity: severityOfName(level),
              severityText: level,
              body: message,
              attributes: attributesOf(fields),
              ids: idsOf.has(info as Fields) ? idsOf.get(info as Fields) : activeIds(),
            }
          })
        return push.call(this, info, ...rest)
      }
    },
  }
}

/** As the app named it, whatever a format has made of it; undefined where no transport takes it, and for the end of the stream. */
function levelOf(logger: WinstonLogger, info: unknown): string | undefined {
  try {
    if (!isObject(info)) return undefined
    const level = (info as Record<symbol, unknown>)[LEVEL] ?? info['level']
    return typeof level === 'string' && logger.isLevelEnabled?.(level) !== false ? level : undefined
  } catch {
    return undefined // an object of the app's may throw where it is read
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** Without what a record has fields for. The error of a line is told as OpenTelemetry has it too. */
function attributesOf({ trace_id: _t, span_id: _s, trace_flags: _f, hostname: _h, pid: _p, ...rest }: Fields): Fields {
  const error = rest['err'] ?? rest['error'] ?? (typeof rest['stack'] === 'string' ? rest : undefined)
  if (!isObject(error) || typeof error['stack'] !== 'string') return rest
  const type = error['type'] ?? error['name']
  return {
    ...rest,
    ...(typeof type === 'string' ? { 'exception.type': type } : {}),
    ...(typeof error['message'] === 'string' ? { 'exception.message': error['message'] } : {}),
    'exception.stacktrace': error['stack'],
  }
}
