// Whether a group reads a stream. One that none reads is a log: what is added to it is nobody's work, and would be open for ever.
import type { Asking } from './asking.ts'
import { observeReply } from './reply.ts'
import type { Step } from './step.ts'
import type { Client } from './shapes.ts'
import { textOf } from './words.ts'

/** A log may get a group; who did not say may say so later. */
const AGAIN_MS = 5_000
const MOST_STREAMS = 1_000

interface Known {
  /** Undefined: it is not known yet. Once a group was seen it is no more asked for: groups stay. */
  hasGroup?: boolean
  askedAt: number
  asking?: Promise<boolean> | undefined
}

export class Readers {
  readonly #asking: Pick<Asking, 'hasGroup'>
  readonly #now: () => number
  readonly #streams = new Map<string, Known>()

  constructor(asking: Pick<Asking, 'hasGroup'>, now: () => number = () => performance.now()) {
    this.#asking = asking
    this.#now = now
  }

  /** A log, as far as is known. Now and then it is looked at again. */
  isLog(client: Client, stream: string): boolean {
    const known = this.#streams.get(stream)
    if (known?.hasGroup !== false) return false
    if (this.#now() - known.askedAt > AGAIN_MS) {
      known.askedAt = this.#now()
      // Not between the commands of a pipeline, which are sent in one go.
      queueMicrotask(() => void this.#ask(client, stream, known))
    }
    return true
  }
  /** A group was seen: nobody need be asked. */
  isRead(stream: string): boolean {
    return this.#streams.get(stream)?.hasGroup === true
  }
  /** True as well where Redis does not say. */
  async hasGroup(client: Client, stream: string): Promise<boolean> {
    const known = this.#streams.get(stream) ?? this.#add(stream)
    if (known.hasGroup === true) return true
    const isUnsaid = known.hasGroup === undefined && !known.asking && this.#now() - known.askedAt < AGAIN_MS
    return isUnsaid || this.#ask(client, stream, known)
  }
  /** XGROUP by this process: a new group makes a log a queue at once, and without its last one it may be a log again. */
  readonly xgroup: Step = (_, command, send) => {
    const [verb = '', stream = ''] = command.args.map(textOf)
    observeReply(command, () => {
      if (/^create$/i.test(verb)) (this.#streams.get(stream) ?? this.#add(stream)).hasGroup = true
      else if (/^destroy$/i.test(verb)) this.#streams.delete(stream)
    })
    return send()
  }

  #add(stream: string): Known {
    if (this.#streams.size >= MOST_STREAMS) this.#streams.delete(this.#streams.keys().next().value!)
    const known: Known = { askedAt: Number.NEGATIVE_INFINITY }
    this.#streams.set(stream, known)
    return known
  }
  #ask(client: Client, stream: string, known: Known): Promise<boolean> {
    known.askedAt = this.#now()
    known.asking ??= this.#asking
      .hasGroup(client, stream)
      // Not permitted, or the connection is gone: what was known stays known.
      .catch(() => known.hasGroup)
      .then((hasGroup) => {
        known.asking = undefined
        if (known.hasGroup !== true && hasGroup !== undefined) known.hasGroup = hasGroup
        return known.hasGroup !== false
      })
    return known.asking
  }
}
