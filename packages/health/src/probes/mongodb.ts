import type { Clock, ModuleHook } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { follow } from './followed-call.ts'
import { FreshControl } from './fresh-control.ts'
import { askAnother, checkClient, type Seen } from './mongodb-check.ts'
import {
  hearTrouble,
  isClosed,
  isDead,
  isUsedWell,
  poolsOf,
  roleOf,
  watchDead,
  type MongoClient,
} from './mongodb-client.ts'
import { experiment, isOurs, isSilent } from './mongodb-control.ts'

type Method = (this: MongoClient, ...args: unknown[]) => unknown
interface Prototype {
  connect?: Method
  db?: Method
  /** Of the constructor, from 6.3 on. */
  checkForNonGenuineHosts?: Method
}
type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown

interface State extends Seen {
  readonly control: FreshControl
  readonly ref: WeakRef<MongoClient>
  readonly hosts: string
  /** When the app last tried to connect, or asked something of a client that is dead. */
  wantedAt: number
  /** Another client has taken its place, or nobody has wanted it for long. */
  isGone: boolean
}

const OWN_FRAMES = /[\\/]node_modules[\\/]mongodb[\\/]/
/** mongoose makes its clients while the app's call is still on the stack. */
const MONGOOSE_FRAMES = /[\\/]node_modules[\\/](?:mongodb|mongoose)[\\/]/
/** An app that tries again is not ready; one that goes on without has decided so. */
const FORGET_DEAD_MS = 60_000
const OF_THE_SERVER: ReadonlySet<string> = new Set(['admin', 'config', 'local'])

/**
 * Finds each client as it connects, be it by the app's connect() or by its first operation: both go through the method of the prototype.
 * Where it was made is known from its constructor, which calls a method that can be followed; before 6.3 from the app's first db().
 */
export function mongodbHook(
  add: Add,
  clock: Pick<Clock, 'monotonicMs'>,
  onRejected: (why: string) => void,
  { deadMs = 60_000, onTrouble = () => {} }: Partial<Pick<Given, 'deadMs' | 'onTrouble'>> = {},
): ModuleHook {
  const finder = new Finder({ add, now: () => clock.monotonicMs(), onRejected, deadMs, onTrouble })
  return {
    name: 'mongodb (health)',
    module: 'mongodb',
    versions: '>=6.0.0 <8',
    patch(exports: { readonly MongoClient?: { readonly prototype: Prototype } }) {
      const prototype = exports.MongoClient?.prototype
      if (typeof prototype?.connect !== 'function') throw new TypeError('mongodb exports no MongoClient that connects')
      follow<MongoClient>(prototype, 'checkForNonGenuineHosts', (client, _args, boundary) =>
        finder.onMade(client, boundary),
      )
      follow<MongoClient>(prototype, 'db', (client, [name], boundary) => finder.onDatabase(client, name, boundary))
      follow<MongoClient>(prototype, 'connect', (client, _args, boundary) => finder.onConnect(client, boundary))
    },
  }
}

interface Given {
  readonly add: Add
  readonly now: () => number
  readonly onRejected: (why: string) => void
  /** How long a client must have given nothing until it is found out whether a restart would help. */
  readonly deadMs: number
  /** The driver has met with something that may be the server's. */
  readonly onTrouble: () => void
}

class Finder {
  readonly #add: Add
  readonly #now: () => number
  readonly #deadMs: number
  readonly #onTrouble: () => void
  readonly #known: KnownClients<State>
  readonly #states = new WeakMap<MongoClient, State>()
  readonly #places = new WeakMap<MongoClient, string | undefined>()
  readonly #databases = new WeakMap<MongoClient, string>()

  constructor({ add, now, onRejected, deadMs, onTrouble }: Given) {
    this.#add = add
    this.#deadMs = deadMs
    this.#now = now
    this.#onTrouble = onTrouble
    this.#known = new KnownClients('clients of mongodb', ({ ref, isGone }) => isGone || !ref.deref(), onRejected)
  }

  onMade(client: MongoClient, boundary: (...args: never[]) => unknown): void {
    this.#place(client, boundary)
  }

  /** The first database of the app's own that it names is where it may read. */
  onDatabase(client: MongoClient, name: unknown, boundary: (...args: never[]) => unknown): void {
    this.#place(client, boundary)
    if (typeof name !== 'string' || name === '' || this.#databases.has(client)) return
    // The other one is what the driver takes where none is named, and what is asked until then.
    if (!OF_THE_SERVER.has(name) && name !== client.options?.dbName) this.#databases.set(client, name)
  }

  onConnect(client: MongoClient, boundary: (...args: never[]) => unknown): void {
    if (isOurs(client)) return
    const known = this.#states.get(client)
    if (known && !known.isGone) {
      known.wantedAt = this.#now()
      return
    }
    this.#place(client, boundary)
    this.#find(client)
  }

  /** The first that is known of it is the nearest to where it was made. */
  #place(client: MongoClient, boundary: (...args: never[]) => unknown): void {
    if (!this.#places.has(client)) this.#places.set(client, placeOf(boundary))
  }

  #find(client: MongoClient): void {
    const { hosts = [], srvHost } = client.options ?? {}
    const names = (srvHost === undefined ? hosts : [srvHost]).map(String)
    const state: State = {
      control: new FreshControl(
        (result) => isSilent(result) && !servesApp(state, this.#deadMs),
        this.#now,
        this.#deadMs,
      ),
      ref: new WeakRef(client),
      hosts: names.join(),
      hint: names.length > 0 && names.every(namesReplica),
      database: () => this.#databases.get(client) ?? databaseOf(client),
      wantedAt: this.#now(),
      isGone: false,
      wasWritable: false,
      readIn: undefined,
      refusedIn: undefined,
      flight: undefined,
      flights: 0,
      askedAt: Number.NEGATIVE_INFINITY,
    }
    this.#states.set(client, state)
    if (!this.#known.add(state)) return
    this.#replace(state)
    hearTrouble(client, this.#onTrouble)
    this.#add(this.#probe(state), this.#places.get(client))
  }

  /** A client that the app makes because another one could not connect stands for both. */
  #replace(state: State): void {
    this.#known.isAnother(state, (other) => {
      const client = other.ref.deref()
      if (client && other.hosts === state.hosts && isDead(client)) other.isGone = true
      return false
    })
  }

  #probe(state: State): FoundProbe {
    return {
      name: 'mongodb',
      component: 'mongodb',
      criticality: 'required',
      isGone: () => this.#isGone(state),
      seesWell: () => seesWell(state, this.#now()),
      check: async (signal) => {
        const client = state.ref.deref()
        if (!client || isClosed(client)) return { status: 'pass' }
        const result = await checkClient({
          client,
          seen: state,
          signal,
          now: this.#now,
          anotherIsWritable: this.#another(state),
        })
        state.askedAt = this.#now()
        return state.control.judge(result, () => experiment(client, (fresh) => askAnother(fresh, state)))
      },
    }
  }

  #another(state: State): () => boolean {
    return () => this.#known.isAnother(state, ({ wasWritable }) => wasWritable)
  }

  #isGone(state: State): boolean {
    if (state.isGone) return true
    const client = state.ref.deref()
    state.isGone = !client || isClosed(client)
    if (!client || state.isGone || !isDead(client)) return state.isGone
    if (client.topology) watchDead(client.topology, () => this.#onUseOfDead(client))
    state.isGone = this.#now() - state.wantedAt > FORGET_DEAD_MS
    return state.isGone
  }

  /** Each of its operations fails, and the app goes on asking: it is told, or told again. */
  #onUseOfDead(client: MongoClient): void {
    const state = this.#states.get(client)
    if (state && !state.isGone) state.wantedAt = this.#now()
    else if (isDead(client)) this.#find(client)
  }
}

/** Since the last question its connections have served the app, and its monitors see a server that takes writes. */
function seesWell({ ref, askedAt, wasWritable }: State, now: number): boolean {
  const topology = ref.deref()?.topology
  if (!topology || !wasWritable || roleOf(topology.description) !== 'writable') return false
  return isUsedWell(poolsOf(topology), now - askedAt)
}

/** Its connections have come back to the pool in the last `withinMs`, whatever became of the question. */
function servesApp({ ref }: State, withinMs: number): boolean {
  const topology = ref.deref()?.topology
  return topology !== undefined && isUsedWell(poolsOf(topology), withinMs)
}

function placeOf(boundary: (...args: never[]) => unknown): string | undefined {
  for (const own of [MONGOOSE_FRAMES, OWN_FRAMES]) {
    const by = madeBy(boundary, own)
    if (by.kind === 'app') return by.at
  }
  return undefined
}

function databaseOf({ options }: MongoClient): string | undefined {
  const name = options?.dbName
  return name === undefined || name === '' || OF_THE_SERVER.has(name) ? undefined : name
}
