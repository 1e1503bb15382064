// Asks the brokers through the connections of one client of kafkajs. Of the library only what neither retries nor writes to the app's log.
import { MIN_IN_SYNC, OF_A_TOPIC, type MinInSync, type MinInSyncAnswer } from './kafka-min-in-sync.ts'
import type { Partition, Reachable, TopicsAnswer } from './kafka-topics.ts'

export interface Broker {
  readonly connectionPool: { readonly host: string; readonly port: number }
  isConnected(): boolean
  apiVersions(): Promise<unknown>
  metadata(topics: readonly string[]): Promise<Metadata>
  describeConfigs?(asked: {
    readonly resources: readonly {
      readonly type: number
      readonly name: string
      readonly configNames: readonly string[]
    }[]
  }): Promise<Configs>
}
interface Metadata {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[]
  readonly topicMetadata: readonly { readonly topic: string; readonly partitionMetadata: readonly Partition[] }[]
}
interface Configs {
  readonly resources: readonly {
    readonly resourceName: string
    readonly configEntries: readonly { readonly configName: string; readonly configValue: string | null }[]
  }[]
}
/** What is asked through one client, and what is known from having asked. */
export interface Asked {
  readonly cluster: Cluster
  readonly reachable: Reachable
  readonly minInSync: MinInSync
}
export interface Cluster {
  readonly targetTopics: ReadonlySet<string>
  readonly brokerPool: {
    readonly brokers: Readonly<Record<string, Broker>>
    readonly seedBroker?: Broker
    connectBroker(broker: Broker): Promise<unknown>
  }
}

const MOST_TOPICS = 50

/** `mayDial`: a producer connects again with its next message only; who has to wait for it to be well would wait for ever. */
export async function ask({ cluster, reachable, minInSync }: Asked, mayDial: boolean): Promise<TopicsAnswer> {
  const broker = connected(cluster) ?? (await dialled(cluster, reachable, mayDial))
  const topics = [...cluster.targetTopics].slice(0, MOST_TOPICS)
  const startedAt = performance.now()
  // To ask for no topics is to ask for all of them.
  const metadata = topics.length === 0 ? await broker.apiVersions() : await withoutMaking(broker).metadata(topics)
  const roundTripMs = Math.round((performance.now() - startedAt) * 10) / 10
  const { brokers = [], topicMetadata = [] } = metadata as Partial<Metadata>
  const partitions = new Map(topicMetadata.map(({ topic, partitionMetadata }) => [topic, partitionMetadata]))
  const leaders = new Set([...partitions.values()].flat().map(({ leader }) => leader))
  const unknown = brokers.filter((each) => leaders.has(each.nodeId) && !isConnectedTo(cluster, each))
  const unreachable = await reachable.why(unknown)
  return {
    roundTripMs,
    topics: partitions,
    unreachable,
    minInSync: await minInSync.of(partitions, (names) => describe(broker, names)),
  }
}

/** By the address that the brokers say now: the client will go there when it asks them the next time. */
function isConnectedTo({ brokerPool }: Cluster, { nodeId, host, port }: Metadata['brokers'][number]): boolean {
  const broker = brokerPool.brokers[nodeId]
  return broker?.connectionPool.host === host && broker.connectionPool.port === port && broker.isConnected()
}

/** Those of the metadata, and last the one by which the client came to them, mostly at an address that the app itself has given. */
function all({ brokerPool: { brokers, seedBroker } }: Cluster): Broker[] {
  return [...new Set([...Object.values(brokers), ...(seedBroker ? [seedBroker] : [])])]
}

function connected(cluster: Cluster): Broker | undefined {
  return all(cluster).find((broker) => broker.isConnected())
}

async function dialled(cluster: Cluster, reachable: Reachable, mayDial: boolean): Promise<Broker> {
  const brokers = all(cluster)
  let why: string | undefined
  for (const broker of brokers) {
    const { host, port } = broker.connectionPool
    why = await reachable.why([{ host, port }])
    // The library would write to the app's log that it could not.
    if (why !== undefined) continue
    if (!mayDial) throw new Error('the client is not connected to any broker, and connects again by itself')
    await cluster.brokerPool.connectBroker(broker)
    return broker
  }
  throw Object.assign(new Error(`no broker can be reached: ${why ?? 'none is known'}`), { code: why })
}

/** A broker may make a topic because somebody asks for it: one that was deleted would be there again. */
function withoutMaking(broker: Broker): Broker {
  return Object.create(broker, { allowAutoTopicCreation: { value: false } }) as Broker
}

async function describe(broker: Broker, topics: readonly string[]): Promise<MinInSyncAnswer> {
  const resources = topics.map((name) => ({ type: OF_A_TOPIC, name, configNames: [MIN_IN_SYNC] }))
  const configs = await broker.describeConfigs?.({ resources })
  return (configs?.resources ?? []).map(({ resourceName, configEntries }) => [
    resourceName,
    configEntries.find(({ configName }) => configName === MIN_IN_SYNC)?.configValue,
  ])
}
