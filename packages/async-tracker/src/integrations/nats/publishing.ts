// Publishing to a stream: the one call that waits for the word that the message is stored.
import type { SentAs, TaskDraft, TaskKit } from '@afterspan/core/internal'
import { createBag } from '../sending/bag.ts'
import { canCarry, withCarrier } from './headers.ts'
import { messageId } from './message-id.ts'
import { onCall, SYSTEM, type Client, type Exports, type PubAck, type PublishOptions } from './shapes.ts'
import { maxAgeMs } from './streams.ts'
import { destinationOf, isReserved } from './subjects.ts'

export function patchPublish({ JetStreamClientImpl }: Exports, kit: TaskKit): void {
  if (!JetStreamClientImpl) return
  onCall(kit, JetStreamClientImpl, 'publish', (original, self, args) => {
    const [subject, data, options, ...rest] = args as Parameters<Client['publish']>
    if (!isTask(subject, options)) return original.apply(self, args)
    const bag = createBag()
    const startedAt = performance.now()
    const send = (): Promise<PubAck> => {
      const headers = withCarrier(options?.headers, bag)
      return original.call(self, subject, data, headers ? { ...options, headers } : options, ...rest) as Promise<PubAck>
    }
    const sentAs = ({ stream, seq, duplicate }: PubAck): SentAs => {
      if (!duplicate) return messageId(stream, seq)
      // Asked again after a time-out, the stream may have named this very message.
      const isOwn = performance.now() - startedAt >= (options?.timeout ?? self.timeout)
      return isOwn ? { instead: 'unanswered' } : null
    }
    return kit.enqueue(draftOf(subject, maxAgeMs(self.nc, subject)), bag, send, sentAs)
  })
}

/** A message with a schedule is a template: the server makes others of it. */
function isTask(subject: unknown, options: PublishOptions | null | undefined): subject is string {
  if (typeof subject !== 'string' || isReserved(subject)) return false
  return !options?.schedule && !options?.cancelSchedule && canCarry(options?.headers)
}

function draftOf(subject: string, deadlineMs: number | undefined): TaskDraft {
  const draft = { system: SYSTEM, destination: destinationOf(subject), name: subject }
  return deadlineMs === undefined ? draft : { ...draft, deadlineMs }
}
