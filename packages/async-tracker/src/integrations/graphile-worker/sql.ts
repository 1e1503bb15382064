// add_job() in the app's own SQL. A job that it has added is a task from then on, and the broker's when the transaction has been committed.
import { context } from '@opentelemetry/api'
import type { SentAs, TaskKit } from '@afterspan/core/internal'
import { createBag } from '../sending/bag.ts'
import { draftOf } from './shapes.ts'
import { ask, textOf, valuesOf, type PgClient } from './sql-client.ts'
import { addedJobs, mayAdd, type AddedJob } from './sql-jobs.ts'
import { Connection } from './sql-transaction.ts'

const ours = new WeakSet<object>()

export function patchClient(prototype: PgClient, kit: TaskKit): void {
  if (ours.has(prototype.query)) return
  const connections = new WeakMap<PgClient, Connection>()
  const connectionOf = (client: PgClient): Connection => {
    const known = connections.get(client)
    if (known) return known
    const made = new Connection(client)
    connections.set(client, made)
    return made
  }
  kit.wrap(
    prototype,
    'query',
    (original) =>
      function (this: PgClient, ...args) {
        const query = (): unknown => original.apply(this, args)
        const text = textOf(args[0])
        if (mayAdd(text)) {
          const values = valuesOf(args)
          const connection = connectionOf(this)
          // What comes in on a connection comes in the context of whoever opened that.
          const asker = context.active()
          return ask(query, args, (answer) => {
            for (const job of addedJobs(text, values, answer)) context.with(asker, () => tell(kit, connection, job))
          })
        }
        const connection = connections.get(this)
        if (!connection?.isOpen) return query()
        connection.asked(text)
        return ask(query, args, () => {
          connection.done(text)
        })
      },
  )
  ours.add(prototype.query)
}

function tell(kit: TaskKit, connection: Connection, { id, task }: AddedJob): void {
  const sentAs = (undo: Awaited<ReturnType<Connection['added']>>): SentAs =>
    undo === 'committed' ? id : { instead: 'rolled_back' }
  const told: unknown = kit.enqueue(draftOf(task, true), createBag(), () => connection.added(), sentAs)
  Promise.resolve(told).catch(() => {})
}
