// Whatever an integration replaced is there again, exactly, once its wraps are taken back: what the library has made since is its own.
import { expect, test } from 'vitest'
import { amqplib } from '../../src/integrations/amqplib.ts'
import { beeQueue } from '../../src/integrations/bee-queue.ts'
import { bull } from '../../src/integrations/bull.ts'
import { graphileWorkerSql } from '../../src/integrations/graphile-worker-sql.ts'
import { kafkajs } from '../../src/integrations/kafkajs.ts'
import { nats } from '../../src/integrations/nats.ts'
import { natsJetstream } from '../../src/integrations/nats-jetstream.ts'
import { nodeSchedule } from '../../src/integrations/node-schedule.ts'
import { platformaticKafka } from '../../src/integrations/platformatic-kafka.ts'
import { createFakeKit } from './fake-kit.ts'
import { installed } from './installed.ts'

test.for([amqplib, beeQueue, bull, graphileWorkerSql, kafkajs, nats, natsJetstream, nodeSchedule, platformaticKafka])(
  '$name is undone cleanly',
  ({ ...one }) => {
    const parts = (one.files ?? [undefined]).map((file) => installed(one.module, file) as object)
    const before = parts.map(membersOf)
    const { kit, undo, errors } = createFakeKit()
    for (const exports of parts) one.patch(exports as never, kit)
    expect(parts.flatMap((part, i) => changed(before[i]!, membersOf(part)))).not.toEqual([])
    undo()
    for (const [i, part] of parts.entries()) expect(changed(before[i]!, membersOf(part))).toEqual([])
    expect(errors).toEqual([])
  },
)

/** Names of what is there, or not there, or another than it was. */
function changed(before: ReadonlyMap<string, unknown>, now: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...before.keys(), ...now.keys()])].filter((name) => before.get(name) !== now.get(name))
}

/** All functions that a module exports, and those of its classes. */
function membersOf(exports: object): ReadonlyMap<string, unknown> {
  const members = new Map<string, unknown>()
  for (const [name, value] of Object.entries({ exports, ...exports })) {
    members.set(name, value)
    const prototype: unknown = typeof value === 'function' ? value.prototype : undefined
    if (typeof prototype !== 'object' || prototype === null) continue
    for (const [key, { value: method }] of Object.entries(Object.getOwnPropertyDescriptors(prototype)))
      members.set(`${name}.${key}`, method)
  }
  return members
}
