// Publishing. sendToQueue() is a publish() to the exchange without a name, which leads to the queue of the routing key.
import type { SentAs, TaskDraft } from '@afterspan/core/internal'
import { createBag, isObject, taskOf, type Bag } from '../sending/bag.ts'
import { bound } from './callbacks.ts'
import { expectConfirmation } from './confirmations.ts'
import { leaveProcess } from './flushing.ts'
import { withCarrier } from './headers.ts'
import { onCall, type Patch } from './patch.ts'
import { askForReturn, type Asking } from './returns.ts'
import { asSender, keptOf } from './sender.ts'
import { nameOf, SYSTEM, type Channel, type Method } from './shapes.ts'
import { isReply } from './topology.ts'

type Confirm = (error: Error | null, ...more: unknown[]) => unknown

/** On a plain channel. */
export function patchPublish(patch: Patch): void {
  onCall(patch, 'publish', (original, self, args) => asSender(args[3], () => publishPlain(patch, original, self, args)))
}

function publishPlain(patch: Patch, original: Method, self: Channel, args: unknown[]): unknown {
  // A confirm channel's own publish() comes through here.
  const addressed = patch.isConfirming(self) ? undefined : addressOf(args, patch)
  if (!addressed) return original.apply(self, args)
  const { draft, exchange, options, isAnswer, asking } = addressed
  const kept = keptOf(options)
  const bag = kept?.bag ?? createBag()
  let result: unknown
  const send = (): Promise<void> => {
    const [destination, routingKey, content] = args
    result = original.call(self, destination, routingKey, content, withCarrier(options, bag, asking), ...args.slice(4))
    return leaveProcess(self, { taskId: taskOf(bag), exchange })
  }
  const sentAs: SentAs = { instead: isAnswer ? 'no_reader' : 'unanswered' }
  if (kept) {
    kept.sentAs = sentAs
    kept.left = send()
    kept.left.catch(ignore) // heard by whoever keeps it
  } else follow(patch, draft, bag, send, sentAs)
  return result
}

/** On a confirm channel: the last argument hears of the broker's answer. */
export function patchConfirmedPublish(patch: Patch, channel: Channel): void {
  onCall({ kit: patch.kit, channel }, 'publish', (original, self, args) =>
    asSender(args[3], () => publishConfirmed(patch, original, self, args)),
  )
}

function publishConfirmed(patch: Patch, original: Method, self: Channel, args: unknown[]): unknown {
  const addressed = addressOf(args, patch)
  const callback = bound(args[4] as Confirm | null | undefined)
  if (!addressed || (callback && typeof callback !== 'function')) return original.apply(self, args)
  const { draft, options, messageId, isAnswer, asking } = addressed
  const kept = keptOf(options)
  const bag = kept?.bag ?? createBag()
  let result: unknown
  const send = (): Promise<void> => {
    const { promise, settle } = expectConfirmation(self)
    const confirm: Confirm = (error, ...more) => {
      settle(error)
      return callback?.(error, ...more)
    }
    const [exchange, routingKey, content] = args
    result = original.call(
      self,
      exchange,
      routingKey,
      content,
      withCarrier(options, bag, asking),
      confirm,
      ...args.slice(5),
    )
    return promise
  }
  const sentAs: SentAs = isAnswer ? { instead: 'no_reader' } : messageId
  if (kept) {
    kept.sentAs = sentAs
    send().catch(ignore) // whoever keeps it may send it again, and says so where it does not
  } else follow(patch, draft, bag, send, sentAs)
  return result
}

/** The app gets what publish() returned: whether it may go on writing. How the message fares is told later. */
function follow(
  { kit }: Pick<Patch, 'kit'>,
  draft: TaskDraft,
  bag: Bag,
  send: () => Promise<void>,
  sentAs: SentAs,
): void {
  kit.enqueue(draft, bag, send, () => sentAs).catch(() => {})
}

interface Address {
  readonly draft: TaskDraft
  readonly exchange: string
  readonly options: unknown
  readonly messageId: string | undefined
  /** To who asked: he may not be followed, or be gone, and then the broker drops it without a word. Nobody owes it. */
  readonly isAnswer: boolean
  readonly asking: Asking
}

/** Undefined for what amqplib is going to refuse. */
function addressOf(
  [exchange = '', routingKey = '', content, options]: readonly unknown[],
  { topology }: Pick<Patch, 'topology'>,
): Address | undefined {
  if (typeof exchange !== 'string' || typeof routingKey !== 'string') return undefined
  const { messageId } = isObject(options) ? options : {}
  const { messageTtlMs } = (exchange === '' && topology.queues.get(routingKey)) || {}
  const isAnswer = isReply(topology, exchange, routingKey)
  return {
    draft: draftOf({ exchange, routingKey, options, messageTtlMs }),
    exchange,
    options,
    messageId: typeof messageId === 'string' ? messageId : undefined,
    isAnswer,
    asking: isAnswer ? 'not' : askForReturn(topology, { exchange, routingKey, content, options }),
  }
}

/** What is to be sent, whoever sends it. */
export function draftOf({
  exchange,
  routingKey,
  options,
  messageTtlMs = Infinity,
}: {
  readonly exchange: string
  readonly routingKey: string
  readonly options: unknown
  /** Of the queue. */
  readonly messageTtlMs?: number | undefined
}): TaskDraft {
  const { expiration, type } = isObject(options) ? options : {}
  const ownMs = expiration === undefined || expiration === '' ? Infinity : Number(expiration)
  const lifetimeMs = Math.min(ownMs, messageTtlMs)
  return {
    system: SYSTEM,
    destination: nameOf(exchange || routingKey),
    name: typeof type === 'string' && type ? type : nameOf(routingKey || exchange),
    // Whoever has not begun by then never will.
    ...(lifetimeMs >= 0 && lifetimeMs < Infinity ? { deadlineMs: lifetimeMs } : {}),
  }
}

function ignore(): void {}
