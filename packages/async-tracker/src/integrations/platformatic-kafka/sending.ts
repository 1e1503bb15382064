// Producer.send lies under Transaction.send and under the stream of a producer.
import type { NoConfirmation, SentAs, TaskDraft, TaskKit } from '@afterspan/core/internal'
import { recordIds } from '../kafka/record-id.ts'
import { createBag, isObject, type Bag } from '../sending/bag.ts'
import { spawnAll } from '../sending/send-all.ts'
import { answer, promised } from './callback.ts'
import { withHeaders } from './headers.ts'
import type { Callback, Message, PlatformaticKafka, Producer, SendOptions, SendResult, Transaction } from './shapes.ts'

const UNANSWERED: NoConfirmation = { instead: 'unanswered' }
const ROLLED_BACK: NoConfirmation = { instead: 'rolled_back' }

/** How a transaction ends, and what waits for that. */
interface Ending {
  readonly ended: Promise<void>
  readonly told: Promise<unknown>[]
  isRolledBack: boolean
}
const endings = new WeakMap<Transaction, Ending>()

/** What became of a message that was written to a producer's stream. */
interface Written {
  sent(id: SentAs): void
  failed(error: unknown): void
}
const written = new WeakMap<Message, Written>()

export function patchProducer({ Producer: { prototype } }: PlatformaticKafka, kit: TaskKit): void {
  kit.wrap(
    prototype,
    'send',
    (original) =>
      function (this: Producer, options, callback) {
        if (!isTracked(options)) return original.call(this, options, callback)
        if (options.messages.some((message) => written.has(message)))
          return sendWritten(options, callback, original.bind(this))
        return answer(sendMessages(kit, this, options, original), callback)
      },
  )
  kit.wrap(
    prototype,
    'beginTransaction',
    (original) =>
      function (this: Producer, options, callback) {
        const begun = promised<Transaction>((done) => original.call(this, options, done))
        const patched = begun.then((transaction) => {
          if (isObject(transaction)) patchTransaction(transaction, kit)
          return transaction
        })
        return answer(patched, callback)
      },
  )
  kit.wrap(
    prototype,
    'asStream',
    (original) =>
      function (this: Producer, ...args) {
        const stream = original.apply(this, args)
        patchStream(stream, this, kit)
        return stream
      },
  )
}

async function sendMessages(
  kit: TaskKit,
  producer: Producer,
  options: SendOptions,
  original: Producer['send'],
): Promise<SendResult> {
  const { messages } = options
  const ending = producer.transaction && endings.get(producer.transaction)
  let ids: readonly SentAs[] | undefined
  const idOf = (result: SendResult, i: number): SentAs => {
    if (ending?.isRolledBack) return ROLLED_BACK
    ids ??= idsOf(messages, result)
    return ids[i]
  }
  const send = (bags: readonly Bag[]): Promise<SendResult> => {
    const carrying = messages.map((message, i) => withHeaders(message, bags[i]!, producer))
    return promised((done) => original.call(producer, { ...options, messages: carrying }, done))
  }
  const { sent, told } = spawnAll(kit, messages.map(draftOf), send, idOf, { until: ending?.ended })
  // 'confirmed' is in the journal before the app goes on; in a transaction that is when it ends.
  if (!ending) await told
  try {
    return await sent
  } catch (error) {
    await told
    throw error
  } finally {
    ending?.told.push(told)
  }
}

function idsOf(messages: readonly Message[], { offsets }: SendResult): readonly SentAs[] {
  return offsets ? recordIds(messages, offsets) : messages.map(() => UNANSWERED)
}

function patchTransaction(transaction: Transaction, kit: TaskKit): void {
  const { promise, resolve } = Promise.withResolvers<void>()
  const ending: Ending = { ended: promise, told: [], isRolledBack: false }
  endings.set(transaction, ending)
  // One that is cancelled is left to the broker, which ends it when its time is over.
  for (const method of ['abort', 'cancel', 'commit'] as const)
    kit.wrap(
      transaction,
      method,
      (original) =>
        function (this: Transaction, callback) {
          const ended = promised<void>((done) => original.call(this, done)).then(async () => {
            ending.isRolledBack = method !== 'commit'
            resolve()
            await Promise.allSettled(ending.told)
          })
          return answer(ended, callback)
        },
    )
}

/** A stream sends later, for several requests at once: each message becomes a task as it is written. */
function patchStream(stream: ReturnType<Producer['asStream']>, producer: Producer, kit: TaskKit): void {
  const open = new Set<Written>()
  const track = (message: Message): Message => {
    const bag = createBag()
    const { promise, resolve, reject } = Promise.withResolvers<SentAs>()
    const told = kit.enqueue(
      draftOf(message),
      bag,
      () => promise,
      (id) => id,
    )
    told.catch(() => {})
    const carrying = withHeaders(message, bag, producer)
    const entry: Written = {
      sent(id) {
        open.delete(entry)
        resolve(id)
      },
      failed(error) {
        open.delete(entry)
        reject(error as Error)
      },
    }
    open.add(entry)
    written.set(carrying, entry)
    return carrying
  }
  kit.wrap(
    stream,
    'write',
    (original) =>
      function (this: typeof stream, message, ...rest) {
        return original.call(this, isTrackedMessage(message) ? track(message) : message, ...rest)
      },
  )
  kit.wrap(
    stream,
    'end',
    (original) =>
      function (this: typeof stream, ...args) {
        const [last, ...rest] = args
        return isTrackedMessage(last) ? original.call(this, track(last), ...rest) : original.apply(this, args)
      },
  )
  stream.once('close', () => {
    for (const { failed } of open) failed(new Error('the stream was closed before it was sent'))
  })
}

function sendWritten(
  options: SendOptions,
  callback: Callback<SendResult> | undefined,
  send: Producer['send'],
): Promise<SendResult> | undefined {
  const { messages } = options
  const sent = promised<SendResult>((done) => send(options, done))
  const told = sent.then(
    (result) => {
      const ids = idsOf(messages, result)
      for (const [i, message] of messages.entries()) written.get(message)?.sent(ids[i])
      return result
    },
    (error: unknown) => {
      for (const message of messages) written.get(message)?.failed(error)
      throw error
    },
  )
  return answer(told, callback)
}

/** What the library would refuse it refuses itself. */
function isTracked(options: unknown): options is SendOptions {
  const messages: unknown = isObject(options) ? options['messages'] : undefined
  return Array.isArray(messages) && messages.length > 0 && messages.every(isTrackedMessage)
}

function isTrackedMessage(message: unknown): message is Message {
  if (!isObject(message) || typeof message['topic'] !== 'string') return false
  const { headers } = message
  return headers === undefined || headers === null || isObject(headers)
}

function draftOf({ topic }: Message): TaskDraft {
  return { system: 'kafka', destination: topic, name: topic }
}
