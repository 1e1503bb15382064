// Before some calls the database is asked, and they come a little later for that. What the app asks of the same queue meanwhile, since it
// awaits nothing, is to come after them, as it would without us: a queue that is emptied late would take the job that was sent after it.
import { isObject } from '../sending/bag.ts'
import { givenDb, type Boss, type Method } from './boss.ts'

/** So long a call waits for what we ask before it: the database may be at a standstill for the one, and not for the other. */
const MOST_MS = 1_000

/** What is known by then; never rejects, where `answer` does not. */
export async function inTime<T>(answer: Promise<T>, otherwise: T): Promise<T> {
  const { promise: late, resolve } = Promise.withResolvers<T>()
  const timer = setTimeout(() => resolve(otherwise), MOST_MS).unref()
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The last call for each queue that is held back. */
const last = new WeakMap<Boss, Map<string, Promise<void>>>()

/** `run` is given the method of pg-boss to call; the next in turn comes once it has been called. `asks`: something is asked before. */
export function inTurn<R>(
  { boss, args, asks }: { readonly boss: Boss; readonly args: readonly unknown[]; readonly asks: boolean },
  original: Method,
  run: (original: Method) => Promise<R>,
): Promise<R> {
  const queue = hasOwnDb(args) ? undefined : queueOf(args)
  const turns = last.get(boss)
  const before = queue === undefined ? undefined : turns?.get(queue)
  if (queue === undefined || (!before && !asks)) return run(original)
  const { promise: gone, resolve } = Promise.withResolvers<void>()
  const mine = turns ?? new Map<string, Promise<void>>()
  last.set(boss, mine.set(queue, gone))
  const over = (): void => {
    if (mine.get(queue) === gone) mine.delete(queue)
    resolve()
  }
  const call: Method = function (...given) {
    try {
      return original.apply(this, given)
    } finally {
      over()
    }
  }
  const go = async (): Promise<R> => {
    try {
      return await run(call)
    } finally {
      over()
    }
  }
  return before ? before.then(go) : go()
}

/** A pg-boss that is stopped meanwhile would refuse what is held back. */
export async function allInTurn(boss: Boss): Promise<void> {
  const turns = last.get(boss)
  if (turns) await Promise.all(turns.values())
}
export function isHeldBack(boss: Boss): boolean {
  return (last.get(boss)?.size ?? 0) > 0
}

/** (queue, …) or ({ name, … }). */
function queueOf([first]: readonly unknown[]): string | undefined {
  const name = isObject(first) ? first['name'] : first
  return typeof name === 'string' ? name : undefined
}

/** What is asked by a connection of the app's own has no order among the others, and may be what they wait for. */
function hasOwnDb(args: readonly unknown[]): boolean {
  const [first] = args
  return [...args, isObject(first) ? first['options'] : undefined].some((given) => givenDb(given) !== undefined)
}
