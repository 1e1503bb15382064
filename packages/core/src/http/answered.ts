import type { RequestAnswered } from '../contracts/task.ts'
import { requestChannel } from '../tasks/channel.ts'

export interface AnsweredGroup {
  add(event: RequestAnswered): void
  /** Publishes what waits: an exit leaves no further turn of the loop. */
  flush(): void
}

/** Ends of requests are grouped: published once per turn of the loop, so that the journal writes them together. */
export function createAnsweredGroup(): AnsweredGroup {
  let waiting: RequestAnswered[] = []
  const flush = (): void => {
    const batch = waiting
    waiting = []
    for (const event of batch) requestChannel.publish(event)
  }
  return {
    add(event) {
      if (event.outcome === 'crashed') requestChannel.publish(event)
      else if (waiting.push(event) === 1) setImmediate(flush).unref()
    },
    flush,
  }
}
