// fastq. What is pushed waits with its context around it, and is itself again wherever the app sees it.
import { context, type Context } from '@opentelemetry/api'
import type { ModuleHook } from '../contracts/module-hook.ts'
import { copyNature, replaceMethod } from '../instrument/replace-method.ts'
import { callIn, keepContext } from './kept-context.ts'

type Fn = (this: any, ...args: any[]) => any
type Make = Fn & { promise?: Fn }

class Waiting {
  readonly value: unknown
  readonly context: Context = context.active()
  constructor(value: unknown) {
    this.value = value
  }
}

const ours = new WeakSet<object>()

export const fastqHook: ModuleHook = {
  name: 'fastq',
  module: 'fastq',
  versions: '>=1.0.0 <2',
  isQuiet: true,
  patch(exports: Make) {
    if (typeof exports !== 'function' || ours.has(exports)) return undefined
    const made = following(exports)
    if (typeof made.promise === 'function') made.promise = following(made.promise)
    return made
  },
}

/** fastq(worker, concurrency), or with the worker's `this` before it. */
function following(make: Make): Make {
  const made: Make = function (this: unknown, ...args) {
    const at = typeof args[0] === 'function' ? 0 : 1
    const worker = args[at] as unknown
    if (typeof worker !== 'function') return make.apply(this, args)
    args[at] = unwrapping(worker as Fn)
    return follow(make.apply(this, args) as Record<string, Fn>)
  }
  ours.add(made)
  return copyNature(make, made)
}

/** The value is the last argument but one that fastq gives a worker, and the last that it gives the handler of errors. */
function unwrapping(worker: Fn): Fn {
  return function (waiting: unknown, worked: unknown) {
    if (!(waiting instanceof Waiting)) return worker.call(this, waiting, worked)
    return callIn(waiting.context, worker, this, [waiting.value, worked])
  }
}

function follow(queue: Record<string, Fn>): unknown {
  for (const method of ['push', 'unshift'])
    replaceMethod(
      queue,
      method,
      (original) =>
        function (value: unknown, done: unknown) {
          return original.call(this, new Waiting(value), keepContext(done))
        },
    )
  replaceMethod(
    queue,
    'getQueue',
    (original) =>
      function () {
        return (original.call(this) as unknown[]).map((each) => (each instanceof Waiting ? each.value : each))
      },
  )
  replaceMethod(
    queue,
    'error',
    (original) =>
      function (handler: unknown) {
        return original.call(this, typeof handler === 'function' ? telling(handler as Fn) : handler)
      },
  )
  return queue
}

function telling(handler: Fn): Fn {
  return function (error: unknown, waiting: unknown) {
    if (!(waiting instanceof Waiting)) return handler.call(this, error, waiting)
    return callIn(waiting.context, handler, this, [error, waiting.value])
  }
}
