// Connections of mysql2 that no pool has: those that the app makes itself, and those of libraries with a pool of their own.
import type { ProbeResult } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { RefusalNews } from '../refusals.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { untilAborted } from '../until-aborted.ts'
import { askBeside, type FreshConnection } from './mysql-holders.ts'
import {
  judgeRefusal,
  judgeServer,
  questionOf,
  sick,
  type MysqlServer,
  type Observed,
  type Row,
} from './mysql-judgement.ts'
import { asked, type MysqlConnection } from './mysql-pool.ts'
import { hearWhetherWell, type Command } from './mysql-refusals.ts'
import { OpenQuestions, seen, SingleConnections, untilSo, type Look } from './single-connections.ts'

/** Of mysql2 2 and 3. */
export interface BareConnection extends Pick<
  MysqlConnection,
  '_command' | '_commands' | '_handshakePacket' | 'query' | 'threadId'
> {
  readonly config?: Readonly<
    Partial<Record<'database' | 'host' | 'isServer' | 'port' | 'socketPath' | 'user', unknown>>
  >
  readonly stream?: { readonly bytesRead?: number }
  readonly authorized?: boolean
  readonly _closing?: boolean
  readonly _fatalError?: unknown
  readonly _protocolError?: unknown
  /** Of a pool's alone. */
  readonly release?: unknown
}
type AddCommand = ((this: BareConnection, command: unknown) => unknown) & { [SEEN]?: true }
interface Member {
  readonly ref: WeakRef<BareConnection>
  /** Why it could not be made. */
  refused: unknown
}
interface Group extends MysqlServer {
  readonly members: Set<Member>
  readonly lines: SingleConnections<BareConnection>
  readonly questions: OpenQuestions<BareConnection, Row>
}

const SEEN = Symbol('afterspan.health')
const MOST_CONNECTIONS = 100
/** FOUND_ROWS(), ROW_COUNT() and the warnings are of the statement before. */
const QUIET_MS = 100
const OWN_FRAMES = /[\\/]node_modules[\\/]mysql2[\\/]/

interface Given {
  readonly add: (probe: FoundProbe, madeAt: string | undefined) => unknown
  readonly now: () => number
  readonly onRejected: (why: string) => void
  readonly refusals: RefusalNews
}

/** Finds each connection by its first command, the handshake. Those of one server, database and user are asked through one of them. */
export class BareConnections {
  readonly #add: Given['add']
  readonly #now: () => number
  readonly #refusals: RefusalNews
  readonly #known: KnownClients<Group>
  readonly #groups = new Map<string, Group>()
  readonly #seen = new WeakSet<BareConnection>()

  constructor({ add, now, onRejected, refusals }: Given) {
    this.#add = add
    this.#now = now
    this.#refusals = refusals
    this.#known = new KnownClients<Group>('databases of single connections of mysql2', isGone, onRejected)
  }

  watch(Connection: { readonly prototype: object }): void {
    let owner: object | null = Connection.prototype
    while (owner && !Object.hasOwn(owner, 'addCommand')) owner = Object.getPrototypeOf(owner) as object | null
    const prototype = owner as { addCommand: AddCommand } | null
    const original = prototype?.addCommand
    if (!prototype || typeof original !== 'function' || original[SEEN]) return
    const found = (connection: BareConnection, command: unknown): void => this.#found(connection, command, addCommand)
    const seen = this.#seen
    const refusals = this.#refusals
    const addCommand: AddCommand = function (command) {
      const isFirst = !seen.has(this)
      if (isFirst || refusals.isAwaited())
        try {
          if (refusals.isAwaited()) hearWhetherWell(command as Command, isFirst, refusals)
          seen.add(this)
          if (isFirst) found(this, command)
        } catch {
          // the app gets its connection, whatever becomes of the probe
        }
      return original.call(this, command)
    }
    addCommand[SEEN] = true
    prototype.addCommand = addCommand
  }

  #found(connection: BareConnection, command: unknown, boundary: AddCommand): void {
    if (isMakingOurs || connection.release !== undefined || connection.config?.isServer) return
    const by = madeBy(boundary as (...args: never[]) => unknown, OWN_FRAMES)
    if (by.kind === 'library') return
    for (const [key, old] of this.#groups) if (isGone(old)) this.#groups.delete(key)
    const key = identityOf(connection)
    let group = this.#groups.get(key)
    if (!group) {
      group = newGroup(connection, this.#now)
      const own = group
      if (!this.#known.add(own)) return
      this.#groups.set(key, own)
      const anotherIsWritable = (): boolean => this.#known.isAnother(own, ({ wasWritable }) => wasWritable)
      this.#add(bareProbe(own, anotherIsWritable), by.at)
    }
    group.lines.found()
    if (group.members.size >= MOST_CONNECTIONS) return
    const member: Member = { ref: new WeakRef(connection), refused: undefined }
    group.members.add(member)
    if (!connection._handshakePacket) (command as Command).once?.('error', (error) => (member.refused = error))
  }
}

function identityOf({ config }: BareConnection): string {
  return JSON.stringify([config?.socketPath, config?.host, config?.port, config?.database, config?.user])
}

function newGroup({ config }: BareConnection, now: () => number): Group {
  return {
    members: new Set(),
    lines: new SingleConnections(look, now, QUIET_MS),
    questions: new OpenQuestions(now),
    isPlain: false,
    wasWritable: false,
    hint: namesReplica(typeof config?.host === 'string' ? config.host : ''),
  }
}

/** The app has ended, or let go of, all of them, and made no other since. */
function isGone(group: Group): boolean {
  return group.lines.areGone(living(group).length)
}

interface Living {
  readonly connection: BareConnection
  readonly member: Member
  /** Why it is of no use any more. */
  readonly error: unknown
}

/** What was closed without an error was closed by the app. */
function living({ members }: Group): Living[] {
  const found: Living[] = []
  for (const member of members) {
    const connection = member.ref.deref()
    const error = member.refused ?? connection?._fatalError ?? connection?._protocolError
    if (!connection || (connection._closing && !error)) members.delete(member)
    else found.push({ connection, member, error: error ?? undefined })
  }
  return found
}

function bareProbe(group: Group, anotherIsWritable: () => boolean): FoundProbe {
  return {
    name: 'mysql',
    component: 'mysql',
    criticality: 'required',
    isGone: () => isGone(group),
    check: (signal) => check(group, signal, anotherIsWritable),
  }
}

async function check(group: Group, signal: AbortSignal, anotherIsWritable: () => boolean): Promise<ProbeResult> {
  // One that is about to be is waited for.
  await untilSo(() => openOf(group).length > 0 || !living(group).some(({ error }) => error === undefined), signal)
  const all = living(group)
  const open = openOf(group)
  const observed: Observed = {
    clients: { value: all.length, unit: 'count' },
    open: { value: open.length, unit: 'count' },
  }
  if (all.length === 0) return { status: 'pass', observed }
  if (open.length === 0) return notOpen(all, group, observed)
  // They have been replaced.
  for (const { error, member } of all) if (error !== undefined) group.members.delete(member)
  const isQuiet = group.lines.isSilent(open)
  const unasked = open.filter((each) => !group.questions.isOn(each))
  const free = await group.lines.free(unasked, signal)
  const answer = free ? group.questions.put(free, (connection) => ask(group, connection)) : group.questions.first(open)
  if (!answer && signal.aborted) return sick('timeout', 'nothing could be asked within the deadline', observed)
  if (!answer) return isQuiet ? checkSilent(group, open, { observed, signal }) : seen(observed)
  try {
    const row = await untilAborted(answer, signal)
    if (row === 'late') return sick('timeout', 'connected, but the server did not answer within the deadline', observed)
    return group.questions.warn(judgeServer(row, group, { observed, anotherIsWritable }), open)
  } catch (error) {
    return judgeRefusal(error, group, observed)
  }
}

function checkSilent(
  group: Group,
  open: readonly BareConnection[],
  { observed, signal }: { readonly observed: Observed; readonly signal: AbortSignal },
): Promise<ProbeResult> {
  return group.lines.judgeSilent(open, observed, {
    async askBeside() {
      const beside = askBeside(
        () => freshOf(open[0]!),
        () => open,
      )
      const isDead = await untilAborted(beside, signal)
      return isDead === 'late' ? 'late' : isDead ? 'dead' : 'at work'
    },
    refused: (error) => judgeRefusal(error, group, observed),
  })
}

/** Nobody's find. */
let isMakingOurs = false

function freshOf({ config, constructor: Connection }: BareConnection): FreshConnection {
  isMakingOurs = true
  try {
    return new (Connection as new (options: object) => FreshConnection)({ config })
  } finally {
    isMakingOurs = false
  }
}

function openOf(group: Group): BareConnection[] {
  return living(group).flatMap(({ connection, error }) => (connection.authorized && !error ? [connection] : []))
}

function look({ _command, _commands, stream }: BareConnection): Look {
  const waiting = _commands?.length ?? 0
  return {
    isIdle: !_command && waiting === 0,
    isBusy: Boolean(_command),
    isWaitedFor: Boolean(_command) && waiting > 0,
    bytes: stream?.bytesRead ?? 0,
  }
}

/** A connection of mysql2 does not connect a second time: who holds one that is lost has nothing. */
function notOpen(all: readonly Living[], group: Group, observed: Observed): ProbeResult {
  const lost = all.findLast(({ error }) => error !== undefined)
  if (!lost) return sick('not_connected', 'the connection has not been made yet', observed)
  return judgeRefusal(lost.error, group, observed)
}

function ask(group: Group, connection: BareConnection): Promise<Row> {
  return new Promise((resolve, reject) => {
    const question = questionOf(group, connection._handshakePacket?.serverVersion)
    connection.query(asked(question), (error, rows) => {
      if (error) reject(error as Error)
      else resolve((rows as readonly Row[] | undefined)?.[0] ?? {})
    })
  })
}
