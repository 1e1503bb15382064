import { formatWithOptions } from 'node:util'
import { activeIds, type LogIds } from './log-ids.ts'

const METHODS = ['debug', 'error', 'info', 'log', 'warn'] as const

/**
 * What a line looks like with the ids in it. Pure. A JSON object gets two more fields and stays one, also where several stand in
 * lines of their own; what else is JSON, or has an id already, is left alone; any other text stands as it is, and the ids follow it.
 */
export function lineWithIds(line: string, ids: LogIds): string {
  if (line === '' || line.includes(ids.trace_id)) return line
  const whole = jsonWithIds(line, ids)
  if (whole !== undefined) return whole
  const each = line.includes('\n') ? line.split('\n').map((part) => (part === '' ? '' : jsonWithIds(part, ids))) : []
  if (each.length > 0 && !each.includes(undefined)) return each.join('\n')
  return `${line} trace_id=${ids.trace_id} span_id=${ids.span_id}`
}

/** Undefined for what is no JSON object or array. */
function jsonWithIds(line: string, { trace_id, span_id }: LogIds): string | undefined {
  if (!/^\s*[{[]/.test(line)) return undefined
  let value: object
  try {
    value = JSON.parse(line) as object
  } catch {
    return undefined
  }
  if (Array.isArray(value) || Object.hasOwn(value, 'trace_id')) return line
  const end = line.lastIndexOf('}')
  const comma = Object.keys(value).length === 0 ? '' : ','
  return `${line.slice(0, end)}${comma}"trace_id":"${trace_id}","span_id":"${span_id}"${line.slice(end)}`
}

/** Inside of a span, lines of `console` carry its ids. `console.log()` stays an empty line. */
export function patchConsole(target: Console = console): void {
  for (const method of METHODS) {
    const original = target[method]
    const patched = function (this: unknown, ...args: unknown[]): void {
      const ids = args.length > 0 ? activeIds() : undefined
      if (ids) original.call(this, '%s', lineWithIds(textOf(args, method), ids))
      else original.apply(this, args)
    }
    Object.defineProperty(patched, 'name', { value: method })
    target[method] = patched
  }
}

/** As console itself would write them. */
function textOf(args: unknown[], method: (typeof METHODS)[number]): string {
  const [only] = args
  if (args.length === 1 && typeof only === 'string') return only
  const { isTTY, hasColors } = (method === 'error' || method === 'warn' ? process.stderr : process.stdout) as {
    isTTY?: boolean
    hasColors?: () => boolean
  }
  return formatWithOptions({ colors: isTTY === true && hasColors?.() === true }, ...args)
}
