// Asks the brokers through the connections of one client of @platformatic/kafka, by the methods that it has for the app.
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
const OF_A_TOPIC = 2
const MIN_IN_SYNC = 'min.insync.replicas'
/** An operator changes it seldom, and a client that may not read it need not be told so each time. */
const KNOWN_FOR_MS = 60_000

/** Of one client. */
export class Asking {
  readonly #apis: Apis
  readonly #reachable: Reachable
  readonly #now: () => number
  /** Older ones take no `retries`, and say so where they are strict. */
  #knowsRetries = true
  #minInSync: { readonly at: number; readonly of: Map<string, number> } | undefined

  constructor(apis: Apis, now: () => number) {
    this.#apis = apis
    this.#now = now
    this.#reachable = new Reachable(now)
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
      minInSync: await this.#minInSyncOf(client, metadata, partitions),
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

  /** Only where replicas are missing does it matter. */
  async #minInSyncOf(
    client: Client,
    { brokers }: Metadata,
    topics: ReadonlyMap<string, readonly Partition[]>,
  ): Promise<ReadonlyMap<string, number>> {
    const known = this.#minInSync
    const short = [...topics].filter(([, all]) => all.some(({ isr, replicas }) => isr.length < replicas.length))
    if (short.length === 0) return known?.of ?? new Map()
    if (known && this.#now() - known.at < KNOWN_FOR_MS && short.every(([name]) => known.of.has(name))) return known.of
    const of = new Map<string, number>(short.map(([name]) => [name, 1]))
    this.#minInSync = { at: this.#now(), of }
    try {
      for (const { resourceName, configs } of (await this.#describe(client, brokers, [...of.keys()])).results) {
        const value = Number(configs.find(({ name }) => name === MIN_IN_SYNC)?.value)
        if (value > 0) of.set(resourceName, value)
      }
    } catch {
      // not every client may ask
    }
    return of
  }

  async #describe(client: Client, brokers: Metadata['brokers'], topics: readonly string[]): Promise<Configs> {
    const most = (await client.listApis()).find(({ name }) => name === 'DescribeConfigs')?.maxVersion ?? 0
    let describe: DescribeConfigs | undefined
    for (let version = most; version >= 0 && !describe; version--)
      describe = this.#apis[`describeConfigsV${version}`]?.api as DescribeConfigs | undefined
    if (!describe) return { results: [] }
    const connection = await told<unknown>((done) => client.connections.getFirstAvailable([...brokers.values()], done))
    const resources = topics.map((resourceName) => ({
      resourceType: OF_A_TOPIC,
      resourceName,
      configurationKeys: [MIN_IN_SYNC],
    }))
    return told<Configs>((done) => describe(connection, resources, false, false, done))
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
