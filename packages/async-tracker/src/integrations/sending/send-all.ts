import type { TaskDraft, TaskKit } from '@afterspan/core/internal'
import { createBag, type Bag } from './bag.ts'

/** Several messages in one call: each is a task with a carrier of its own, and all share how the call ends. */
export async function sendAll<R>(
  kit: TaskKit,
  drafts: readonly TaskDraft[],
  send: (bags: readonly Bag[]) => PromiseLike<R>,
  idOf: (result: R, index: number) => string | null | undefined,
): Promise<R> {
  const { promise, resolve, reject } = Promise.withResolvers<R>()
  const bags = drafts.map(() => createBag())
  const sent = (): Promise<R> => promise
  // Side by side, not nested: ten thousand messages are no ten thousand frames, and no span is the parent of the next.
  const told = drafts.map((draft, i) => kit.enqueue(draft, bags[i]!, sent, (result) => idOf(result, i)))
  try {
    resolve(await send(bags))
  } catch (error) {
    reject(error)
  }
  // 'confirmed' is in the journal before the app goes on.
  await Promise.allSettled(told)
  return promise
}
