// A batch that runs: each of its messages is an attempt that is held open until it is known how it ended.
import { isThenable, type AttemptInfo, type TaskKit } from '@afterspan/core/internal'
import { headersCarrier } from '../kafka/headers.ts'
import { begin, hold, type Held } from '../running/held.ts'
import type { Batch, ReceivedMessage } from './shapes.ts'

export interface HeldBatch {
  readonly messages: readonly HeldMessage[]
  /** `offset` is the next one to be read. */
  commit(topic: string, partition: number, offset: string): void
  /** All up to this one are done. */
  resolve(offset: string): void
}
interface HeldMessage {
  readonly message: ReceivedMessage
  readonly attempt: Held
}

export function holdBatch({ topic, partition, messages }: Batch, infos: readonly AttemptInfo[]): HeldBatch {
  const held = messages.map((message, i): HeldMessage => ({ message, attempt: hold(infos[i]!) }))
  let next = 0
  /** Offsets grow within a batch. */
  const doneBefore = (end: bigint): void => {
    for (; next < held.length && BigInt(held[next]!.message.offset) < end; next++) held[next]!.attempt.succeed()
  }
  return {
    messages: held,
    commit(ofTopic, ofPartition, offset) {
      const end = ofTopic === topic && ofPartition === partition ? offsetOf(offset) : undefined
      if (end !== undefined) doneBefore(end)
    },
    resolve(offset) {
      const last = offsetOf(offset)
      if (last !== undefined) doneBefore(last + 1n)
    },
  }
}

export function runBatch(
  kit: TaskKit,
  { messages }: HeldBatch,
  batch: { readonly isAutoResolved: boolean; run(): unknown; onEnd(): void },
): unknown {
  let result: unknown
  let thrown: { readonly error: unknown } | undefined
  const run = (): void => {
    try {
      result = batch.run()
      // Adopted once: a query builder runs each time that somebody calls its then().
      if (isThenable(result)) result = Promise.resolve(result)
    } catch (error) {
      thrown = { error }
    }
  }
  // A batch belongs to no single request: its handler runs in the context that kafkajs gives it.
  const inside = messages.length === 1 ? run : undefined
  for (const { message, attempt } of messages) begin(kit, attempt, headersCarrier(message.headers), inside)
  if (!inside) run()
  const succeed = (): void => {
    for (const { attempt } of messages) {
      if (batch.isAutoResolved) attempt.succeed()
      else attempt.giveBack()
    }
    batch.onEnd()
  }
  const fail = (error: unknown): void => {
    tellFailed(messages, error)
    batch.onEnd()
  }
  if (thrown) {
    fail(thrown.error)
    throw thrown.error
  }
  if (result instanceof Promise) result.then(succeed, fail)
  else succeed()
  return result
}

/**
 * Where the handler says of its messages that they are done, the first of which it did not is the one that threw, and the others were
 * not begun. Where it says of none, it may have been any of them: the error is told of all.
 */
function tellFailed(messages: readonly HeldMessage[], error: unknown): void {
  const open = messages.filter(({ attempt }) => attempt.isOpen)
  const isOneByOne = open.length < messages.length
  for (const [i, { attempt }] of open.entries()) {
    if (i > 0 && isOneByOne) attempt.giveBack()
    else attempt.fail(error)
  }
}

function offsetOf(offset: unknown): bigint | undefined {
  try {
    return BigInt(offset as string)
  } catch {
    return undefined
  }
}
