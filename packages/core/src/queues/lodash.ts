// debounce() and throttle(): what many call, and a timer of the first of them runs once, with what the last of them gave. So it is the
// last one's.
import { context } from '@opentelemetry/api'
import { copyNature } from '../instrument/replace-method.ts'
import { callIn } from './kept-context.ts'

type Fn = (this: any, ...args: any[]) => any

const ours = new WeakSet<object>()

/** The whole library, or one function that is a package or a file of its own. */
export function patch(exports: Fn & Record<string, unknown>, name?: string): unknown {
  if (name !== undefined && typeof exports === 'function') return following(exports)
  for (const each of ['debounce', 'throttle']) {
    const original = exports[each]
    if (typeof original === 'function' && !ours.has(original)) exports[each] = following(original as Fn)
  }
  return undefined
}

function following(make: Fn): Fn {
  const replacement: Fn = function (fn, ...rest) {
    if (typeof fn !== 'function') return make.call(this, fn, ...rest)
    let last = context.active()
    const run: Fn = function (...args) {
      return callIn(last, fn as Fn, this, args)
    }
    const made = make.call(this, run, ...rest) as Fn
    const called: Fn = function (...args) {
      last = context.active()
      return made.apply(this, args)
    }
    return copyNature(made, called)
  }
  ours.add(replacement)
  return copyNature(make, replacement)
}
