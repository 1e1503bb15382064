// An entry that a consumer of a group gets is an attempt, until it is acknowledged. Redis never says that a handler has failed: an entry
// that is not acknowledged stays with its consumer until somebody asks for it again.
import type { TaskKit } from '@afterspan/core/internal'
import type { Held } from '../running/held.ts'
import { createDeliveries } from './deliveries.ts'
import { observeReply } from './reply.ts'
import type { Step } from './step.ts'
import type { Removals } from './removing.ts'
import type { Client } from './shapes.ts'
import { acknowledged, entriesClaimed, entriesRead, readOf, textOf, type Delivered } from './words.ts'

type Name = 'xreadgroup' | 'xclaim' | 'xautoclaim' | 'xack' | 'xackdel'

export function createRunning(kit: TaskKit, removals: Removals): Readonly<Record<Name, Step>> {
  const deliveries = createDeliveries(kit)
  const deliver = (group: string, entry: Delivered, isTakeover: boolean): Held => {
    removals.delivered(entry)
    return deliveries.deliver(group, entry, isTakeover)
  }
  const claim =
    (command: string): Step =>
    (_, sent, send) => {
      const [stream = '', group = ''] = sent.args.map(textOf)
      observeReply(sent, (reply) => {
        for (const entry of entriesClaimed(stream, command, reply)) deliver(group, entry, true)
      })
      return send()
    }
  const acknowledge =
    (command: string): Step =>
    (_, sent, send) => {
      const { group, ids } = acknowledged(command, sent.args)
      observeReply(sent, () => {
        for (const entry of ids) deliveries.acknowledge(group, entry)
      })
      return send()
    }
  return {
    xreadgroup: reading(deliver),
    xclaim: claim('xclaim'),
    xautoclaim: claim('xautoclaim'),
    xack: acknowledge('xack'),
    xackdel: acknowledge('xackdel'),
  }
}

function reading(deliver: (group: string, entry: Delivered, isTakeover: boolean) => Held): Step {
  /** What was delivered without the need to acknowledge: over when its consumer asks for more. */
  const unacknowledged = new WeakMap<Client, Map<string, Held[]>>()
  return (client, command, send) => {
    const read = readOf(command.args)
    if (!read) return send()
    const { group, consumer, isNoAck, again } = read
    const open = unacknowledged.get(client) ?? new Map<string, Held[]>()
    const reader = `${group}\0${consumer}`
    for (const attempt of open.get(reader) ?? []) attempt.succeed()
    open.delete(reader)
    observeReply(command, (reply) => {
      const attempts = entriesRead(reply).map((entry) => deliver(group, entry, again.has(entry.stream)))
      if (isNoAck) unacknowledged.set(client, open.set(reader, attempts))
    })
    return send()
  }
}
