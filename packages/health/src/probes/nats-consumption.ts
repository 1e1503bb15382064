// A loop over the messages of a consumer of JetStream: whether its consumer is still there, and whether it gets on.
import type { ProbeResult } from '@afterspan/core/internal'
import type { JetStreamAnswer } from './jetstream-answer.ts'

/** What `consume()` gives. */
export interface Messages {
  readonly consumer: {
    readonly api: { readonly nc: object; readonly prefix: string }
    readonly name: string
    readonly ordered?: boolean
    readonly stream: string
  }
  /** It goes on by itself, where `fetch()` ends. Its name in nats 2, and in the newer packages. */
  readonly refilling?: boolean
  readonly isConsume?: boolean
  /** Of nats 2, in which an ordered consumer is made of others that come and go. */
  readonly forOrderedConsumer?: boolean
  /** Each message is given to a function, and what that makes of it is not known. */
  readonly noIterator: boolean
  /** Resolves with an error where it was not the app that ended it. */
  closed(): Promise<unknown>
  getPending(): number
  getProcessed(): number
}

export interface ConsumptionOptions {
  readonly stuckMs: number
  readonly stuckStatus: 'warn' | 'fail'
}

/** By the names of stream and consumer. */
const FORGOTTEN = /^\$JS(?:\.[^.]+)?\.API\.(?:CONSUMER\.DELETE\.([^.]+)\.([^.]+)|STREAM\.DELETE\.([^.]+))$/

export class Consumption {
  readonly question: string
  readonly stream: string
  readonly name: string
  /** Its loop has ended by an error, and the app has not begun it again. */
  isBroken = false
  readonly #now: () => number
  readonly #messages: WeakRef<Messages>
  #mark = ''
  #movedAt: number

  constructor(messages: Messages, now: () => number) {
    const { api, name, stream } = messages.consumer
    this.#messages = new WeakRef(messages)
    this.#now = now
    this.#movedAt = now()
    this.stream = stream
    this.name = name
    this.question = `${api.prefix}.CONSUMER.INFO.${stream}.${name}`
  }

  /** Whether its name stays: that of an ordered consumer is another one after each trouble, of which its client takes care. */
  get isNamed(): boolean {
    const messages = this.#messages.deref()
    return messages !== undefined && messages.consumer.ordered !== true && messages.forOrderedConsumer !== true
  }

  /** The app itself has asked for that. */
  isForgottenBy(subject: string): boolean {
    const [, stream, name, whole] = FORGOTTEN.exec(subject) ?? []
    return whole === this.stream || (stream === this.stream && name === this.name)
  }

  judge(answer: JetStreamAnswer, options: ConsumptionOptions): ProbeResult {
    if (this.isBroken) return gone('a loop over messages has ended by an error, and was not begun again')
    if (answer.error?.code === 404) return gone('a consumer of which the app takes messages is not there')
    if (!this.#isStuck(answer, options.stuckMs)) return { status: 'pass' }
    const reason = 'messages wait for a consumer, and it gets nowhere'
    return { status: options.stuckStatus, code: 'consumer_stuck', cause: 'self_recoverable', reason }
  }

  /** What the server says of it is of all processes that share it: where this one of them gets on. */
  #isStuck({ ack_floor, delivered, num_ack_pending = 0, num_pending = 0 }: JetStreamAnswer, stuckMs: number): boolean {
    const messages = this.#messages.deref()
    if (!messages) return false
    const [at, waiting] = messages.noIterator
      ? [`${delivered?.stream_seq}/${ack_floor?.stream_seq}`, num_ack_pending > 0 ? num_pending : 0]
      : [`${messages.getProcessed()}`, messages.getPending() > 1 ? 1 : messages.getPending() * num_pending]
    if (at !== this.#mark || waiting === 0) {
      this.#mark = at
      this.#movedAt = this.#now()
    }
    return this.#now() - this.#movedAt >= stuckMs
  }
}

function gone(reason: string): ProbeResult {
  return { status: 'fail', code: 'consumer_gone', cause: 'dependency', reason }
}
