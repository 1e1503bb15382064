// Runs whose library awaits them, and catches and logs what they throw: the line that it logs is what it would be without us.
import { hideOwnFrames, isThenable, withOwnFramesHidden } from '@afterspan/core/internal'

/** `attempt` runs what it is given within an attempt, which lasts until the promise that this returns has settled. */
export function runCaught(attempt: (run: () => unknown) => unknown, run: () => unknown): unknown {
  const ended = Promise.withResolvers<unknown>()
  let work: unknown
  try {
    const followed = attempt(() => {
      work = withOwnFramesHidden(run)
      return isThenable(work) ? ended.promise : work
    })
    if (!isThenable(work)) return work
    ;(followed as Promise<unknown>).catch(() => {})
  } catch (error) {
    hideOwnFrames(error)
    throw error
  }
  return untilOver(work, ended)
}

/** Awaits, where a `then` would do: V8 names who waits on the stack of what is thrown, and through a `then` it does not see. */
async function untilOver(work: PromiseLike<unknown>, ended: PromiseWithResolvers<unknown>): Promise<unknown> {
  try {
    const value = await work
    ended.resolve(undefined)
    return value
  } catch (error) {
    ended.reject(error)
    hideOwnFrames(error)
    throw error
  }
}
