// A message that a consumer has handed out is one attempt, which has two halves: what the handler does, and what the app answers.
// It is well when the message is acknowledged and the handler, where one can be seen, is over. A message that nobody answers is
// given out again when its time is up, be its handler at work or not.
import { LONGEST_TIMER_MS } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import type { HandledDelivery, Info } from '../running/message-handler.ts'

export interface Delivery extends HandledDelivery {
  acked(): void
  /** It will be delivered again, while deliveries are left. */
  givenBack(error: Error): void
  /** It is not delivered again, by the app's own word. */
  terminated(error: Error): void
  /** The app asked for more time. */
  extended(): void
  /** The broker has given it out again: its time is up. */
  givenAgain(): void
}
export interface DeliveryPlan {
  readonly info: Info
  /** How long the broker waits for an answer; undefined: for ever. */
  readonly ackWaitMs: number | undefined
  /** How much of that was over when the app got the message. */
  readonly waitedMs: number
  /** It was acknowledged after its time, and after all. */
  readonly onLateAck: () => void
  /** The app acknowledged what its handler had failed to do. */
  readonly onDropped: (error: unknown) => void
}

export function createDelivery({ info, ackWaitMs, waitedMs, onLateAck, onDropped }: DeliveryPlan): Delivery {
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>()
  ended.catch(() => {})
  let handler: 'works' | 'returned' | { readonly error: unknown } = 'works'
  let isAcked = false
  let isOver = false
  let isOverdue = false
  let willRetry = false
  // Where the most is known the kit counts; else there is always one more.
  info.outcomeOf = () => (!willRetry ? 'failed' : info.maxAttempts === undefined ? 'retrying' : undefined)
  const timeIsUp = (): void => {
    isOverdue = true
    if (handler === 'returned') expire()
  }
  const clock = startClock(ackWaitMs, waitedMs, timeIsUp)
  const end = (tell: () => void): void => {
    if (isOver) return
    isOver = true
    info.overSinceMs = performance.now()
    clock.stop()
    tell()
  }
  const fail = (error: unknown, isRetried: boolean): void =>
    end(() => {
      willRetry = isRetried
      reject(error)
    })
  const expire = (): void => fail(failureOf('ACK_WAIT', `not acknowledged within ${ackWaitMs} ms`), true)
  return {
    ended,
    acked() {
      if (isOver && isOverdue && handler === 'returned') onLateAck()
      if (typeof handler === 'object') onDropped(handler.error)
      isAcked = true
      clock.stop()
      if (handler === 'returned') end(resolve)
    },
    givenBack(error) {
      fail(error, true)
    },
    terminated(error) {
      if (typeof handler === 'object') onDropped(handler.error)
      fail(error, false)
    },
    extended() {
      isOverdue = false
      if (!isOver) clock.restart()
    },
    givenAgain: timeIsUp,
    handlerReturned() {
      if (handler === 'works') handler = 'returned'
      if (isAcked) end(resolve)
      else if (isOverdue) expire()
    },
    handlerFailed(error) {
      handler = { error }
      fail(error, !isAcked)
    },
  }
}

interface Clock {
  restart(): void
  stop(): void
}

/** Counts from when the client had the message, which is a little later than when the broker gave it: so it stops a little early, before the next delivery begins. */
function startClock(ackWaitMs: number | undefined, waitedMs: number, onEnd: () => void): Clock {
  let timer: NodeJS.Timeout | undefined
  const start = (ms: number): void => {
    if (ms <= LONGEST_TIMER_MS) timer = setTimeout(onEnd, Math.max(0, ms)).unref()
  }
  const stop = (): void => clearTimeout(timer)
  if (ackWaitMs === undefined) return { restart() {}, stop }
  const wholeMs = ackWaitMs - Math.min(50, ackWaitMs / 10)
  start(wholeMs - waitedMs)
  return {
    restart() {
      stop()
      start(wholeMs)
    },
    stop,
  }
}
