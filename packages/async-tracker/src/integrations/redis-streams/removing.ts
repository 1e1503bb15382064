// Entries that this process takes away before any group had them: it deletes what it has added, or the stream, or cuts it. Redis does not
// say what had been delivered by then, so it is asked. What was delivered once is told of by those who have it.
import type { TaskId, TaskKit } from '@afterspan/core/internal'
import type { Asking } from './asking.ts'
import type { Begun } from './begun.ts'
import { observeReply } from './reply.ts'
import type { Step } from './step.ts'
import { NotDelivered } from './not-delivered.ts'
import type { Client, Command } from './shapes.ts'
import { createVanishing } from './vanishing.ts'
import { isBefore, textOf, type Delivered } from './words.ts'

export interface Removals {
  sent(client: Client, entry: Delivered, taskId: TaskId): void
  delivered(entry: Delivered): void
  readonly steps: Readonly<Record<'del' | 'unlink' | 'xdel' | 'xtrim', Step>>
}

export function createRemovals(asking: Asking, kit: TaskKit, begun: Begun): Removals {
  const waiting = new NotDelivered()
  const taking = cancelling(asking, kit, waiting)
  const vanishing = createVanishing({ asking, kit, waiting })
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
  const xtrim: Step = (_, command, send) => {
    const stream = textOf(command.args[0])
    observeReply(command, (reply) => {
      if (Number(reply) > 0) vanishing.cut(stream)
    })
    return send()
  }
  return {
    sent: (client, entry, taskId) => {
      waiting.add(entry, taskId)
      vanishing.sent(client, entry)
    },
    delivered: (entry) => {
      waiting.remove(entry)
    },
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
