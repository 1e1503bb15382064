// An entry that is added is a task, which its id names.
import type { SentAs, TaskKit } from '@afterspan/core/internal'
import { createBag, taskOf } from '../sending/bag.ts'
import { failureOf } from '../running/failure-of.ts'
import type { Begun } from './begun.ts'
import { observeReply } from './reply.ts'
import type { Step } from './step.ts'
import type { Readers } from './readers.ts'
import type { Removals } from './removing.ts'
import { SYSTEM, type Command } from './shapes.ts'
import type { Transactions, Undone } from './transactions.ts'
import { destinationOf, isRedirect, messageId, textOf } from './words.ts'

type Ending = { readonly id: string } | Undone | { readonly instead: 'no_reader' }

interface Places {
  readonly removals: Removals
  readonly readers: Readers
  readonly transactions: Transactions
  readonly begun: Begun
}

export function createSending(
  kit: TaskKit,
  { removals, readers, transactions, begun }: Places,
): Readonly<Record<'xadd', Step>> {
  return {
    xadd(client, command, send, unit) {
      const stream = textOf(command.args[0])
      if (readers.isLog(client, stream)) return send()
      const bag = createBag()
      const { promise, resolve, reject } = Promise.withResolvers<Ending>()
      let result: unknown
      let thrown: { readonly error: unknown } | undefined
      const isWithin = unit === client && begun.isOpen(client)
      const add = (): Promise<Ending> => {
        const added = (id: string): void => {
          // It was not queued: the transaction has gone with its connection.
          if (isWithin) begun.end(client)
          // In the turn of the reply: it is in the journal before the app goes on.
          if (readers.isRead(stream)) return resolve({ id })
          readers.hasGroup(client, stream).then((isRead) => {
            resolve(isRead ? { id } : { instead: 'no_reader' })
          }, reject)
        }
        observeEnd(command, added, reject, () => {
          transactions.wait(unit, resolve)
        })
        try {
          result = send()
        } catch (error) {
          thrown = { error }
          reject(error)
        }
        return promise
      }
      const sentAs = (ending: Ending): SentAs => {
        if ('instead' in ending) return ending
        const taskId = taskOf(bag)
        const entry = { stream, id: ending.id }
        if (taskId) removals.sent(client, entry, taskId)
        return messageId(entry)
      }
      const draft = { system: SYSTEM, destination: destinationOf(stream), name: stream, isFoundById: true }
      const told: unknown = kit.enqueue(draft, bag, add, sentAs)
      Promise.resolve(told).catch(() => {})
      if (thrown) throw thrown.error
      return result
    },
  }
}

function observeEnd(
  command: Command,
  added: (id: string) => void,
  reject: (error: unknown) => void,
  onQueued: () => void,
): void {
  observeReply(
    command,
    (reply) => {
      if (reply === null || reply === undefined) reject(failureOf('NOMKSTREAM', 'there is no such stream'))
      else added(textOf(reply))
    },
    (error) => {
      const { message } = error as { readonly message?: unknown }
      const text = typeof message === 'string' ? message : ''
      if (!isRedirect(text)) reject(error)
    },
    onQueued,
  )
}
