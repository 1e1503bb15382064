import { withoutSpans, type SentAs, type TaskDraft, type TaskKit } from '@afterspan/core/internal'
import { createBag, type Bag } from './bag.ts'

/** Several messages in one call: each is a task with a carrier of its own, and all share how the call ends. */
export async function sendAll<R>(
  kit: TaskKit,
  drafts: readonly TaskDraft[],
  send: (bags: readonly Bag[]) => PromiseLike<R>,
  idOf: (result: R, index: number) => SentAs,
): Promise<R> {
  const awaited = drafts.map((draft) => ({ ...draft, isAwaited: true }))
  const { sent, told } = spawnAll(kit, awaited, send, idOf)
  // 'confirmed' is in the journal before the app goes on.
  await told
  return sent
}

export interface Answer<R> {
  /** The call's result is not yet the broker's word. */
  readonly until?: Promise<void> | undefined
  /** Why one of them was not sent, though the call went well. */
  readonly errorOf?: (result: R, index: number) => Error | undefined
}

/** The same: `told` settles when all is in the journal, after what `idOf` returns. */
export function spawnAll<R>(
  kit: TaskKit,
  drafts: readonly TaskDraft[],
  send: (bags: readonly Bag[]) => PromiseLike<R>,
  idOf: (result: R, index: number) => SentAs,
  { until, errorOf }: Answer<R> = {},
): { readonly sent: Promise<R>; readonly told: Promise<unknown> } {
  const { promise, resolve, reject } = Promise.withResolvers<R>()
  const bags = drafts.map(() => createBag())
  const settled = until ? promise.then((result) => until.then(() => result)) : promise
  const sentAs = (i: number): Promise<R> => {
    if (!errorOf) return settled
    return settled.then((result) => {
      const error = errorOf(result, i)
      if (error) throw error
      return result
    })
  }
  // Side by side, not nested: ten thousand messages are no ten thousand frames, and no span is the parent of the next.
  const told = drafts.map((draft, i) =>
    kit.enqueue(
      draft,
      bags[i]!,
      () => sentAs(i),
      (result) => idOf(result, i),
    ),
  )
  try {
    // What the library asks of its broker is within the PRODUCER spans already, as for a single message.
    withoutSpans(() => send(bags)).then(resolve, reject)
  } catch (error) {
    reject(error)
  }
  return { sent: promise, told: Promise.allSettled(told) }
}
