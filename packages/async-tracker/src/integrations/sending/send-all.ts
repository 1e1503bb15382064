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

/** The same, where the call's result is not yet the broker's word: `told` settles when all is in the journal, after what `idOf` returns. */
export function spawnAll<R>(
  kit: TaskKit,
  drafts: readonly TaskDraft[],
  send: (bags: readonly Bag[]) => PromiseLike<R>,
  idOf: (result: R, index: number) => SentAs,
  until?: Promise<void>,
): { readonly sent: Promise<R>; readonly told: Promise<unknown> } {
  const { promise, resolve, reject } = Promise.withResolvers<R>()
  const bags = drafts.map(() => createBag())
  const settled = until ? promise.then((result) => until.then(() => result)) : promise
  const sent = (): Promise<R> => settled
  // Side by side, not nested: ten thousand messages are no ten thousand frames, and no span is the parent of the next.
  const told = drafts.map((draft, i) => kit.enqueue(draft, bags[i]!, sent, (result) => idOf(result, i)))
  try {
    // What the library asks of its broker is within the PRODUCER spans already, as for a single message.
    withoutSpans(() => send(bags)).then(resolve, reject)
  } catch (error) {
    reject(error)
  }
  return { sent: promise, told: Promise.allSettled(told) }
}
