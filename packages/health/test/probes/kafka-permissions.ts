// What a broker with an authorizer lets everybody do with a topic: for the tests of the clients of Kafka, none of which knows who it is.
import { createRequire } from 'node:module'

interface Admin {
  connect(): Promise<void>
  createAcls(given: { readonly acl: readonly object[] }): Promise<unknown>
  deleteAcls(given: { readonly filters: readonly object[] }): Promise<unknown>
  disconnect(): Promise<void>
}
interface Kafkajs {
  readonly Kafka: new (options: object) => { admin(): Admin }
}
export type Operation = 'read' | 'write'

/** Of the broker: without an entry all is allowed. */
export const AUTHORIZER = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': 'true',
}

// As the protocol has them.
const TOPIC = 2
const LITERAL = 3
const ANY = 1
const DENY = 2
const ALLOW = 3
const OPERATIONS = { read: 3, write: 4, describe: 8 }

/** Refuses one of the two, and allows the rest. Resolves with what takes that back. */
export async function forbid(broker: string, topic: string, operation: Operation): Promise<() => Promise<void>> {
  const { Kafka } = createRequire(new URL('../../../../test/package.json', import.meta.url))('kafkajs') as Kafkajs
  const admin = new Kafka({ brokers: [broker], logLevel: 0 }).admin()
  const of = {
    resourceType: TOPIC,
    resourceName: topic,
    resourcePatternType: LITERAL,
    principal: 'User:ANONYMOUS',
    host: '*',
  }
  const entries = Object.entries(OPERATIONS).map(([name, id]) => ({
    ...of,
    operation: id,
    permissionType: name === operation ? DENY : ALLOW,
  }))
  await admin.connect()
  await admin.createAcls({ acl: entries })
  return async () => {
    await admin.deleteAcls({ filters: [{ ...of, operation: ANY, permissionType: ANY }] })
    await admin.disconnect()
  }
}
