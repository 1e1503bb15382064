// Asks the brokers through the connections of one client of @platformatic/kafka, by the methods that it has for the app.
import { MIN_IN_SYNC, MinInSync, OF_A_TOPIC, type MinInSyncAnswer } from './kafka-min-in-sync.ts'
import { Reachable, type Address, type Partition, type TopicsAnswer } from './kafka-topics.ts'

interface Connection {
  isConnected(): boolean
}
interface Metadata {
  readonly brokers: ReadonlyMap<number, Address>
  readonly topics: ReadonlyMap<string, { readonly partitions: readonly (Partition | undefined)[] } | undefined>
}
interface MetadataOptions {
  readonly topics: string[]
  readonly forceUpdate: true
  readonly autocreateTopics: false
  readonly retries?: 0
}
type Done<T> = (error: Error | null, value: T) => void
export interface Client {
  readonly closed: boolean
  readonly currentMetadata?: Metadata
  readonly connections: Iterable<readonly [string, Connection]> & {
    getFirstAvailable(brokers: readonly Address[], done: Done<unknown>): unknown
  }
  listApis(): Promise<readonly { readonly name: string; readonly maxVersion: number }[]>
  metadata(options: MetadataOptions): Promise<Metadata>
  on(event: string, listener: (...told: any[]) => void): unknown
  once(event: string, listener: () => void): unknown
}
type DescribeConfigs = (
  connection: unknown,
  resources: readonly {
    readonly resourceType: number
    readonly resourceName: string
    readonly configurationKeys: string[]
  }[],
  withSynonyms: false,
  withDocumentation: false,
  done: Done<Configs>,
) => unknown
interface Configs {
  readonly results: readonly {
    readonly resourceName: string
    readonly configs: readonly { readonly name: string; readonly value: string | null }[]
  }[]
}
/** What the library exports: each version of each request by its name. */
export type Apis = Readonly<Record<string, { readonly api?: unknown } | undefined>>

export const MOST_TOPICS = 50

/** Of one client. */
export class Asking {
  readonly #apis: Apis
  readonly #reachable: Reachable
  readonly #minInSync: MinInSync
  /** Older ones take no `retries`, and say so where they are strict. */
  #knowsRetries = true

  constructor(apis: Apis, now: () => number) {
    this.#apis = apis
    this.#reachable = new Reachable(now)
    this.#minInSync = new MinInSync(now)
  }

  async ask(client: Client, topics: Iterable<string>): Promise<TopicsAnswer> {
    const asked = [...topics].slice(0, MOST_TOPICS)
    const startedAt = performance.now()
    const metadata = await this.#metadata(client, asked)
    const roundTripMs = Math.round((performance.now() - startedAt) * 10) / 10
    const partitions = new Map<string, readonly Partition[]>()
    for (const [name, topic] of metadata.topics)
      if (topic)
        partitions.set(
          name,
          topic.partitions.filter((each) => each !== undefined),
        )
    const leaders = new Set([...partitions.values()].flat().map(({ leader }) => leader))
    const open = connectedTo(client)
    const unknown = [...metadata.brokers].filter(
      ([id, { host, port }]) => leaders.has(id) && !open.has(`${host}:${port}`),
    )
    const unreachable = await this.#reachable.why(unknown.map(([, address]) => address))
    return {
      roundTripMs,
      topics: partitions,
      unreachable,
      minInSync: await this.#minInSync.of(partitions, (names) => this.#describe(client, metadata.brokers, names)),
    }
  }

  async #metadata(client: Client, topics: string[]): Promise<Metadata> {
    const options = { topics, forceUpdate: true, autocreateTopics: false } as const
    try {
      return await client.metadata(this.#knowsRetries ? { ...options, retries: 0 } : options)
    } catch (error) {
      const isRefused = this.#knowsRetries && /must NOT have additional properties/.test(String(error))
      if (!isRefused) throw error
      this.#knowsRetries = false
      return client.metadata(options)
    }
  }

  async #describe(client: Client, brokers: Metadata['brokers'], topics: readonly string[]): Promise<MinInSyncAnswer> {
    const most = (await client.listApis()).find(({ name }) => name === 'DescribeConfigs')?.maxVersion ?? 0
    let describe: DescribeConfigs | undefined
    for (let version = most; version >= 0 && !describe; version--)
      describe = this.#apis[`describeConfigsV${version}`]?.api as DescribeConfigs | undefined
    if (!describe) return []
    const connection = await told<unknown>((done) => client.connections.getFirstAvailable([...brokers.values()], done))
    const resources = topics.map((resourceName) => ({
      resourceType: OF_A_TOPIC,
      resourceName,
      configurationKeys: [MIN_IN_SYNC],
    }))
    const { results } = await told<Configs>((done) => describe(connection, resources, false, false, done))
    return results.map(({ resourceName, configs }) => [
      resourceName,
      configs.find(({ name }) => name === MIN_IN_SYNC)?.value,
    ])
  }
}

function connectedTo({ connections }: Client): ReadonlySet<string> {
  return new Set([...connections].filter(([, connection]) => connection.isConnected()).map(([address]) => address))
}

function told<T>(begin: (done: Done<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    begin((error, value) => (error ? reject(error) : resolve(value)))
  })
}
