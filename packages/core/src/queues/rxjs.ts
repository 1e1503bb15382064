// concatMap(), mergeMap() with a limit and their like: a value that waits is taken up by whatever ends before it. It keeps the context in
// which it came. So does the last value, which debounceTime(), throttleTime() and auditTime() give on when a timer of an earlier one runs
// out.
import { context, type Context } from '@opentelemetry/api'
import { copyNature } from '../instrument/replace-method.ts'
import { callIn } from './kept-context.ts'

type Project = (value: unknown, index: number) => unknown
interface Subscriber {
  _next?: (this: unknown, value: unknown) => unknown
}
interface Observable {
  subscribe(subscriber: Subscriber): unknown
}
type Operate = (this: Subscriber, source: Observable) => unknown
type Operator = (source: Observable) => { operator?: Operate }
type MakeOperator = (...args: unknown[]) => Operator
type Merge = (
  source: Observable,
  subscriber: unknown,
  project: Project,
  concurrent: number,
  onBeforeNext?: unknown,
  expand?: unknown,
  ...more: unknown[]
) => unknown

const ours = new WeakSet<object>()

export function patch(exports: { mergeInternals?: Merge }): undefined {
  const original = exports.mergeInternals
  if (typeof original !== 'function' || ours.has(original)) return
  const replacement: Merge = (source, subscriber, project, concurrent, onBeforeNext, expand, ...more) => {
    // Without a limit nothing waits; what expand() feeds back does not come from the source.
    if (expand || !(concurrent < Infinity) || typeof project !== 'function')
      return original(source, subscriber, project, concurrent, onBeforeNext, expand, ...more)
    const waiting: Context[] = []
    const kept: Project = (value, index) => inOwn(waiting.shift(), project, value, index)
    return original(
      noting(source, (own) => waiting.push(own)),
      subscriber,
      kept,
      concurrent,
      onBeforeNext,
      expand,
      ...more,
    )
  }
  ours.add(replacement)
  exports.mergeInternals = replacement
}

/** `exports`: of the file of an operator that gives on the last of several values. */
export function patchLast(exports: Record<string, MakeOperator | undefined>, name: string): undefined {
  const original = exports[name]
  if (typeof original !== 'function' || ours.has(original)) return
  const replacement: MakeOperator = (...args) => {
    const operator = original(...args)
    return (source) => {
      const piped = operator(source)
      const { operator: operate } = piped
      if (typeof operate === 'function')
        piped.operator = function (from) {
          let last: Context | undefined
          givingOn(this, () => last)
          return operate.call(
            this,
            noting(from, (own) => (last = own)),
          )
        }
      return piped
    }
  }
  ours.add(replacement)
  exports[name] = copyNature(original, replacement)
}

/** What the subscriber gets is given in the context in which the last value came. */
function givingOn(subscriber: Subscriber, lastOf: () => Context | undefined): void {
  const next = subscriber._next
  if (typeof next !== 'function') return
  subscriber._next = function (value) {
    const last = lastOf()
    return last === undefined ? next.call(this, value) : callIn(last, next as never, this, [value])
  }
}

/** The source, of whose values it hears in which context each comes, in their order. */
function noting(source: Observable, comesIn: (own: Context) => void): Observable {
  return {
    subscribe(subscriber) {
      const next = subscriber._next
      if (typeof next === 'function')
        subscriber._next = function (value) {
          comesIn(context.active())
          return next.call(this, value)
        }
      return source.subscribe(subscriber)
    },
  }
}

function inOwn(own: Context | undefined, project: Project, value: unknown, index: number): unknown {
  if (own === undefined || own === context.active()) return project(value, index)
  return subscribedIn(own, callIn(own, project as never, undefined, [value, index]))
}

/** What it gave is listened to in that context too. */
function subscribedIn(own: Context, inner: unknown): unknown {
  if (typeof inner !== 'object' || inner === null) return inner
  for (const name of ['subscribe', 'then']) {
    const listen = (inner as Record<string, unknown>)[name]
    if (typeof listen !== 'function') continue
    const kept = (...args: unknown[]): unknown => callIn(own, listen as never, inner, args)
    return name === 'then' ? { [name]: kept } : Object.create(inner, { [name]: { value: kept } })
  }
  return inner
}
