// Here is no handler: a consumer gives a stream of messages. An attempt begins when the app gets a message out of it, and ends
// - in `for await`, when the app asks for the next one: the body of the loop has come to its end;
// - in a listener of 'data', as the listener ends;
// - when the message is committed, or one behind it in its partition, whichever is first; of what is piped elsewhere that is the only sign.
// A loop that is left by break or by an error looks the same from here: that message goes back without a result.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { begin, hold, type Held } from '../running/held.ts'
import { recordId } from '../kafka/record-id.ts'
import { isObject } from '../sending/bag.ts'
import { answer, promised } from './callback.ts'
import { headersCarrier } from './headers.ts'
import type { Consumer, Listener, MessagesStream, PlatformaticKafka, ReceivedMessage } from './shapes.ts'
import { Uncommitted } from './uncommitted.ts'

/** Of the streams that are open. */
const uncommittedOf = new WeakMap<Consumer, Set<Uncommitted>>()

export function patchConsumer({ Consumer: { prototype } }: PlatformaticKafka, kit: TaskKit): void {
  kit.wrap(
    prototype,
    'consume',
    (original) =>
      function (this: Consumer, options, callback) {
        // Its fetches must not carry the request that happened to start it for its whole life.
        const consumed = promised<MessagesStream>((done) =>
          context.with(ROOT_CONTEXT, () => original.call(this, options, done)),
        )
        const patched = consumed.then((stream) => {
          // The library fills the options in.
          const isManual = options.autocommit === false
          const uncommitted = isManual ? openUncommitted(this, stream) : undefined
          patchStream(stream, { kit, groupId: this.groupId, isManual, uncommitted })
          return stream
        })
        return answer(patched, callback)
      },
  )
  // A message's own commit() ends here too, together with others.
  kit.wrap(
    prototype,
    'commit',
    (original) =>
      function (this: Consumer, options, callback) {
        const tell = (): void => {
          for (const uncommitted of uncommittedOf.get(this) ?? []) uncommitted.committed(options)
        }
        if (typeof callback === 'function')
          return original.call(this, options, (error, ...rest) => {
            if (!error) tell()
            callback(error, ...rest)
          })
        return original.call(this, options)?.then((result) => {
          tell()
          return result
        })
      },
  )
}

function openUncommitted(consumer: Consumer, stream: MessagesStream): Uncommitted {
  const uncommitted = new Uncommitted()
  const all = uncommittedOf.get(consumer) ?? new Set()
  uncommittedOf.set(consumer, all.add(uncommitted))
  stream.once('close', () => {
    all.delete(uncommitted)
    uncommitted.giveBack()
  })
  return uncommitted
}

interface Following {
  readonly kit: TaskKit
  readonly groupId: string
  /** The app commits its messages itself. */
  readonly isManual: boolean
  /** There where it does. */
  readonly uncommitted: Uncommitted | undefined
}

function patchStream(stream: MessagesStream, following: Following): void {
  const { kit } = following
  kit.wrap(
    stream,
    Symbol.asyncIterator as never,
    (original: MessagesStream[typeof Symbol.asyncIterator]) =>
      function (this: MessagesStream) {
        return followLoop(original.call(this), following)
      } as never,
  )
  let isPiping = false
  const followed = new WeakSet<Listener>()
  const listen = (listener: Listener): Listener => {
    // A second listener sees the same messages, and does not run them a second time.
    if (stream.rawListeners('data').some((one) => followed.has(one))) return listener
    const replacement = isPiping ? followPipe(listener, following) : followListener(listener, following)
    if (replacement !== listener) followed.add(replacement)
    return replacement
  }
  for (const method of ['addListener', 'on'] as const)
    kit.wrap(
      stream,
      method,
      (original) =>
        function (this: MessagesStream, event, listener) {
          const isData = event === 'data' && typeof listener === 'function' && !('listener' in listener)
          return original.call(this, event, isData ? removable(listen(listener), listener) : listener)
        },
    )
  kit.wrap(
    stream,
    'pipe',
    (original) =>
      function (this: MessagesStream, ...args) {
        isPiping = true
        try {
          return original.apply(this, args)
        } finally {
          isPiping = false
        }
      },
  )
}

/** removeListener() looks here for what the app gave. */
function removable(replacement: Listener, listener: Listener): Listener {
  return replacement === listener ? listener : Object.assign(replacement, { listener })
}

function followLoop(iterator: AsyncIterator<ReceivedMessage>, following: Following): AsyncIterator<ReceivedMessage> {
  let current: Held | undefined
  const finish = (how: 'giveBack' | 'succeed'): void => {
    current?.[how]()
    current = undefined
  }
  return Object.assign(Object.create(iterator) as AsyncIterator<ReceivedMessage>, {
    async next(...args: [] | [undefined]) {
      finish('succeed')
      const result = await iterator.next(...args)
      if (result.done) return result
      current = hold(infoOf(result.value, following))
      follow(result.value, current, following)
      following.uncommitted?.add(result.value, current)
      begin(following.kit, current, headersCarrier(result.value.headers))
      return result
    },
    return(value?: unknown) {
      finish('giveBack')
      return iterator.return!(value)
    },
    throw(error?: unknown) {
      finish('giveBack')
      return iterator.throw!(error)
    },
  })
}

function followListener(listener: Listener, following: Following): Listener {
  return function (this: unknown, ...args) {
    const message = args[0] as ReceivedMessage
    const held = hold(infoOf(message, following))
    follow(message, held, following)
    let result: unknown
    let isPromise = false
    const told: unknown = following.kit.attempt(held.info, headersCarrier(message.headers), () => {
      result = listener.apply(this, args)
      isPromise = isObject(result) && typeof result['then'] === 'function'
      if (isPromise) return result
      if (!following.uncommitted || !held.isOpen) return undefined
      following.uncommitted.add(message, held)
      return held.ended
    })
    if (isPromise) return told
    if (told instanceof Promise) told.catch(() => {})
    return result
  }
}

function followPipe(listener: Listener, following: Following): Listener {
  const { uncommitted } = following
  // Committed before anybody has seen it: nothing says when it is done.
  if (!uncommitted) return listener
  return function (this: unknown, ...args) {
    const message = args[0] as ReceivedMessage
    const held = hold(infoOf(message, following))
    follow(message, held, following)
    uncommitted.add(message, held)
    begin(following.kit, held, headersCarrier(message.headers))
    return listener.apply(this, args)
  }
}

/** The app's commit ends it. */
function follow(message: ReceivedMessage, held: Held, { isManual }: Following): void {
  if (!isManual || typeof message.commit !== 'function') return
  const { commit } = message
  message.commit = (callback) => {
    const committed = promised<void>((done) => commit(done)).then((result) => {
      held.succeed()
      return result
    })
    return answer(committed, callback)
  }
}

function infoOf({ topic, partition, offset }: ReceivedMessage, { groupId, isManual }: Following): AttemptInfo {
  return {
    system: 'kafka',
    destination: topic,
    name: topic,
    attempt: 0, // Kafka does not count deliveries
    messageId: recordId(topic, partition, offset),
    consumerGroup: groupId,
    // What is committed as it is fetched is not delivered again.
    outcomeOf: () => (isManual ? 'retrying' : undefined),
  }
}
