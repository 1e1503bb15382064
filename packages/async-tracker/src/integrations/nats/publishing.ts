// Publishing to a stream: the one call that waits for the word that the message is stored.
import type { SentAs, TaskDraft, TaskKit } from '@afterspan/core/internal'
import { createBag, isObject } from '../sending/bag.ts'
import { canCarry, withCarrier } from './headers.ts'
import { messageId } from './message-id.ts'
import { onCall, SYSTEM, type Client, type Exports, type PubAck, type PublishOptions } from './shapes.ts'
import { maxAgeMs } from './streams.ts'
import { destinationOf, isReserved } from './subjects.ts'

/** How a publish ended. An error that does not say whether the stream has the message is a result. */
type Ending = { readonly ack: PubAck } | { readonly unanswered: Error }

export function patchPublish({ JetStreamClientImpl }: Exports, kit: TaskKit): void {
  if (!JetStreamClientImpl) return
  onCall(kit, JetStreamClientImpl, 'publish', (original, self, args) => {
    const [subject, data, options, ...rest] = args as Parameters<Client['publish']>
    if (!isTask(subject, options)) return original.apply(self, args)
    const bag = createBag()
    const startedAt = performance.now()
    const wasOpen = !self.nc.isClosed() && !self.nc.isDraining()
    const send = (): Promise<Ending> => {
      const headers = withCarrier(options?.headers, bag)
      const sent = original.call(self, subject, data, headers ? { ...options, headers } : options, ...rest)
      return (sent as Promise<PubAck>).then(
        (ack) => ({ ack }),
        (error: unknown) => {
          if (wasOpen && isUnanswered(error)) return { unanswered: error }
          throw error
        },
      )
    }
    const sentAs = (ending: Ending): SentAs => {
      if ('unanswered' in ending) return { instead: 'unanswered' }
      const { stream, seq, duplicate } = ending.ack
      if (!duplicate) return messageId(stream, seq)
      // Asked again after a time-out, the stream may have named this very message.
      const isOwn = performance.now() - startedAt >= (options?.timeout ?? self.timeout)
      return isOwn ? { instead: 'unanswered' } : null
    }
    return kit.enqueue(draftOf(subject, maxAgeMs(self.nc, subject)), bag, send, sentAs).then((ending) => {
      if ('unanswered' in ending) throw ending.unanswered
      return ending.ack
    })
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

const UNANSWERED = new Set(['CANCELLED', 'CONNECTION_CLOSED', 'DISCONNECT', 'TIMEOUT', 'TimeoutError'])

/** The message may be in the stream all the same: the wait for the answer was given up, or the connection ended meanwhile. */
function isUnanswered(error: unknown): error is Error {
  if (!isObject(error)) return false
  const { code, message, name } = error
  if (UNANSWERED.has(String(code)) || UNANSWERED.has(String(name))) return true
  return name === 'RequestError' && (message === 'connection closed' || message === 'cancelled')
}
