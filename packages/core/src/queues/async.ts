// The queues of `async`, and the calls that its memoize lets wait for one that is under way. A batch (cargo) that several have filled
// is run as the first of them; their callbacks are each one's own.
import { context, type Context } from '@opentelemetry/api'
import { copyNature } from '../instrument/replace-method.ts'
import { callIn, keepContext } from './kept-context.ts'

type Fn = (this: any, ...args: any[]) => any
type Exports = Record<string, unknown>
interface Queue {
  _createTaskItem?: (data: unknown, callback: unknown) => object
  workersList(): object[]
}

const ours = new WeakSet<object>()
const contexts = new WeakMap<object, Context>()

/** The whole library. */
export function patchAll(exports: Exports): undefined {
  for (const name of ['queue', 'priorityQueue']) replace(exports, name, (make) => following(make, 1))
  for (const name of ['cargo', 'cargoQueue']) replace(exports, name, (make) => following(make))
  replace(exports, 'memoize', patchMemoize)
  const all = exports['default']
  if (typeof all === 'object' && all !== null && all !== exports) patchAll(all as Exports)
}

/** What all of its queues are made by: `async/internal/queue.js`. */
export function patchQueue(make: Fn): Fn {
  return following(make)
}

export function patchMemoize(memoize: Fn): Fn {
  return natureOf(memoize, function (...given) {
    const memoized = memoize.apply(this, given) as Fn
    return natureOf(memoized, function (...args) {
      args.push(keepContext(args.pop()))
      return memoized.apply(this, args)
    })
  })
}

/** One for each: the library has its functions under two names. */
const made = new WeakMap<object, Fn>()

function replace(exports: Exports, name: string, how: (original: Fn) => Fn): void {
  const original = exports[name]
  if (typeof original !== 'function' || ours.has(original)) return
  const replacement = made.get(original) ?? how(original as Fn)
  made.set(original, replacement)
  exports[name] = replacement
}

/** `size`: how many of what was pushed a worker gets at once; as many as its first argument has where that is not said. */
function following(make: Fn, size?: number): Fn {
  return natureOf(make, function (worker: unknown, ...rest) {
    if (typeof worker !== 'function') return make.call(this, worker, ...rest)
    let queue: Queue | undefined
    const kept: Fn = function (...args) {
      const own = queue && contextOf(queue, size ?? (args[0] as unknown[]).length)
      return own ? callIn(own, worker as Fn, this, args) : worker.apply(this, args)
    }
    // By this it is known that it answers with a promise, and gets no callback.
    const tag = (worker as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
    if (tag !== undefined) Object.defineProperty(kept, Symbol.toStringTag, { value: tag })
    queue = make.call(this, kept, ...rest) as Queue
    if (typeof queue._createTaskItem === 'function') keepItems(queue, queue._createTaskItem)
    return queue
  })
}

/** A queue with priorities puts its own in place of it. */
function keepItems(queue: Queue, create: NonNullable<Queue['_createTaskItem']>): void {
  let original = create
  const keeping: typeof create = function (this: unknown, data, callback) {
    const item = original.call(this, data, keepContext(callback))
    contexts.set(item, context.active())
    return item
  }
  Object.defineProperty(queue, '_createTaskItem', {
    configurable: true,
    enumerable: true,
    get: () => keeping,
    set(next: typeof create) {
      original = next
    },
  })
}

/** What a worker is about to get stands last among what is worked on. */
function contextOf(queue: Queue, size: number): Context | undefined {
  const items = queue.workersList()
  const first = items[items.length - size]
  return first && contexts.get(first)
}

function natureOf(from: Fn, to: Fn): Fn {
  ours.add(to)
  return copyNature(from, to)
}
