// SendMessage and SendMessageBatch: each message is a task with a context of its own.
import { withoutTracing, type SentAs, type TaskKit } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import { createBag, type Bag, type Fields } from '../sending/bag.ts'
import { canCarry, withContext } from './attributes.ts'
import {
  listOf,
  queueOf,
  sendAndLook,
  SYSTEM,
  withInput,
  type Client,
  type Exports,
  type Step,
  type StepOf,
} from './shapes.ts'

/** Of queues that take a message once: ids that this process was told lately. */
const MOST_IDS = 1_000

interface Sent {
  readonly bag: Bag
  readonly isFoundById: boolean
  resolve(sentAs: SentAs): void
  reject(error: unknown): void
}

export function createSending(exports: Exports, kit: TaskKit): readonly StepOf[] {
  const ids = new Set<string>()
  const idOf = (entry: Fields, id: unknown): SentAs => {
    if (typeof id !== 'string') return undefined
    if (typeof entry['MessageGroupId'] !== 'string') return id
    // What the queue has already it answers with the same id again.
    if (ids.has(id)) return null
    if (ids.size >= MOST_IDS) ids.delete(ids.values().next().value!)
    ids.add(id)
    return id
  }
  const spawn = (queue: string, entry: Fields, entries: readonly Fields[]): Sent => {
    const { promise, resolve, reject } = Promise.withResolvers<SentAs>()
    const bag = createBag()
    const isFoundById = !canCarry(entry, entries)
    const draft = { system: SYSTEM, destination: queue, name: queue, isFoundById }
    kit
      .enqueue(
        draft,
        bag,
        () => promise,
        (sentAs) => sentAs,
      )
      .catch(() => {})
    return { bag, isFoundById, resolve, reject }
  }
  const carrying = (entry: Fields, { bag, isFoundById }: Sent): Fields =>
    isFoundById ? entry : withContext(entry, bag)

  const send: Step = (client, command, rest, original) => {
    const { input } = command
    const sent = spawn(queueOf(input), input, [input])
    const call = { client, command: withInput(command, carrying(input, sent)), rest, original: quiet(original) }
    return follow([sent], () =>
      sendAndLook(call, ({ MessageId: id }) => sent.resolve(idOf(input, id)), failing([sent])),
    )
  }
  const sendBatch: Step = (client, command, rest, original) => {
    const { input } = command
    const entries = entriesOf(input)
    if (entries.length === 0) return original.call(client, command, ...rest)
    const all = entries.map((entry) => spawn(queueOf(input), entry, entries))
    const Entries = entries.map((entry, i) => carrying(entry, all[i]!))
    const call = { client, command: withInput(command, { ...input, Entries }), rest, original: quiet(original) }
    const onOutput = (output: Fields): void => {
      const taken = new Map(listOf(output['Successful']).map((one) => [one['Id'], one['MessageId']]))
      const refused = new Map(listOf(output['Failed']).map((one) => [one['Id'], one]))
      for (const [i, entry] of entries.entries()) {
        const { Code: code, Message: message } = refused.get(entry['Id']) ?? {}
        if (taken.has(entry['Id'])) all[i]!.resolve(idOf(entry, taken.get(entry['Id'])))
        else all[i]!.reject(failureOf(wordOf(code, 'Failed'), wordOf(message, 'refused')))
      }
    }
    return follow(all, () => sendAndLook(call, onOutput, failing(all)))
  }
  return [
    [exports.SendMessageCommand, send],
    [exports.SendMessageBatchCommand, sendBatch],
  ]
}

/** None where one of them is no entry: that is for the SDK to refuse. */
function entriesOf({ Entries: entries }: Fields): readonly Fields[] {
  const all = listOf(entries)
  return all.length === (entries as readonly unknown[] | undefined)?.length ? all : []
}

function wordOf(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise
}

/** The requests of the SDK are within the PRODUCER spans; what the app does in its callback is not. */
function quiet(original: Client['send']): Client['send'] {
  return function (this: Client, ...args) {
    return withoutTracing(() => original.apply(this, args))
  }
}

/** What is thrown at once was not sent. */
function follow(all: readonly Sent[], call: () => unknown): unknown {
  try {
    return call()
  } catch (error) {
    failing(all)(error)
    throw error
  }
}

function failing(all: readonly Sent[]): (error: unknown) => void {
  return (error) => {
    for (const { reject } of all) reject(error)
  }
}
