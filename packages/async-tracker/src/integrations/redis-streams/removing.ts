// Entries that are gone before any group had them. Redis tells nobody, so it is asked: whenever this process deletes entries that it has
// added, or their stream, or cuts a stream that it adds to. What was delivered once is told of by those who have it.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import type { Asking } from './asking.ts'
import type { Begun } from './begun.ts'
import { observeReply } from './reply.ts'
import type { Step } from './step.ts'
import { NotDelivered } from './not-delivered.ts'
import type { Client, Command } from './shapes.ts'
import { isBefore, textOf, type Delivered } from './words.ts'

/** A stream that is cut with each entry is looked at now and then. */
const LOOK_MS = 1_000

export interface Removals {
  sent(entry: Delivered, taskId: TaskId): void
  delivered(entry: Delivered): void
  trimmed(client: Client, stream: string): void
  readonly steps: Readonly<Record<'del' | 'unlink' | 'xdel' | 'xtrim', Step>>
}

export function createRemovals(asking: Asking, kit: TaskKit, begun: Begun): Removals {
  const { lastDelivered, firstEntry } = asking
  const waiting = new NotDelivered()
  const taking = cancelling(asking, kit, waiting)
  const looking = new Set<string>()

  const look = async (client: Client, stream: string): Promise<void> => {
    looking.delete(stream)
    const last = await lastDelivered(client, stream)
    const first = await firstEntry(client, stream)
    for (const [id, taskId] of waiting.of(stream) ?? []) {
      if (first !== undefined && !isBefore(id, first)) break
      waiting.remove({ stream, id })
      // Without a group nobody is meant to run it.
      if (last !== undefined && isBefore(last, id)) kit.settle(taskId, 'lost', 'vanished_from_broker', 'broker')
    }
  }
  const trimmed = (client: Client, stream: string): void => {
    if (!waiting.of(stream) || looking.has(stream)) return
    looking.add(stream)
    withoutTracing(() => setTimeout(() => void look(client, stream).catch(() => {}), LOOK_MS).unref())
  }
  const xdel: Step = (client, command, send, unit) => {
    const [stream = '', ...ids] = command.args.map(textOf)
    const own = ids.flatMap((id): Own => {
      const taskId = waiting.of(stream)?.get(id)
      return taskId ? [[id, taskId]] : []
    })
    // Between the commands of a pipeline or a transaction nothing may be asked.
    if (own.length > 0) taking(client, command, stream, own, begun.isAlone(client, unit) ? 'before' : 'after')
    return send()
  }
  /** Of keys, which may be streams. */
  const del: Step = (client, command, send, unit) => {
    for (const key of waiting.isEmpty ? [] : command.args) {
      const stream = textOf(key)
      const own = waiting.of(stream)
      // Afterwards there is nothing to ask about.
      if (own) taking(client, command, stream, [...own], begun.isAlone(client, unit) ? 'before' : 'never')
    }
    return send()
  }
  const xtrim: Step = (client, command, send) => {
    const stream = textOf(command.args[0])
    observeReply(command, (reply) => {
      if (Number(reply) > 0) trimmed(client, stream)
    })
    return send()
  }
  return {
    sent: (entry, taskId) => {
      waiting.add(entry, taskId)
    },
    delivered: (entry) => {
      waiting.remove(entry)
    },
    trimmed,
    steps: { del, unlink: del, xdel, xtrim },
  }
}

type Own = readonly (readonly [id: string, TaskId])[]

/**
 * What a command takes is cancelled, where no group had it. Asked before, on the same connection: what was delivered by then is for those
 * to end who have it. Asked after, what comes later may be taken for delivered by then.
 */
function cancelling(
  { lastDelivered }: Asking,
  kit: TaskKit,
  waiting: NotDelivered,
): (client: Client, command: Command, stream: string, own: Own, asked: 'before' | 'after' | 'never') => void {
  return (client, command, stream, own, asked) => {
    const before = asked === 'before' ? lastDelivered(client, stream) : undefined
    before?.catch(() => {})
    const cancel = (delivered: string | undefined): void => {
      for (const [id, taskId] of own)
        if (delivered === undefined || isBefore(delivered, id)) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
    }
    observeReply(command, (reply) => {
      for (const [id] of own) waiting.remove({ stream, id })
      // Where it may not be asked, the task stays what it is taken for: sent.
      if (!(Number(reply) > 0) || asked === 'never') return
      const last = before ?? lastDelivered(client, stream)
      last.then(cancel, () => {})
    })
  }
}
