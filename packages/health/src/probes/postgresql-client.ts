// Clients of pg that no pool has: those that the app makes itself, and those of libraries with a pool of their own (Sequelize).
import type { ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { untilAborted } from '../until-aborted.ts'
import { FreshControl } from './fresh-control.ts'
import type { BareClient } from './postgresql-bare-client.ts'
import { askBeside, experiment, isOurs, isSilent, watchLost } from './postgresql-client-control.ts'
import { judgeRefusal, judgeServer, sick, type Observed, type PostgresqlServer } from './postgresql-judgement.ts'
import { QUESTION, type Row } from './postgresql-questions.ts'
import { OpenQuestions, seen, SingleConnections, untilSo, type Look } from './single-connections.ts'

type Connect = (this: BareClient, ...args: unknown[]) => unknown
interface Exports {
  readonly Client?: { readonly prototype: { connect?: Connect } }
}
interface Member {
  readonly ref: WeakRef<BareClient>
  /** 'I', 'T' or 'E', as the server said it with its last answer. */
  transaction: unknown
}
interface Group extends PostgresqlServer {
  readonly members: Set<Member>
  readonly lines: SingleConnections<Living>
  readonly questions: OpenQuestions<BareClient, Row>
  readonly control: FreshControl
  /** The app has wanted something of them since they were last well. */
  isWanted: boolean
  question: string
}

const MOST_CLIENTS = 100
const OWN_FRAMES = /[\\/]node_modules[\\/](?:pg|@opentelemetry[\\/][^\\/]+)[\\/]/
/** Their pools have probes of their own. */
const OF_A_POOL = /^(?:pg-pool|knex)[\\/]/
/** import and require may both bring the class. */
const watched = new WeakSet<object>()

/** Finds each client as it connects. Clients of one server, database and user are asked through one of them. */
export function postgresqlClientHook(
  add: (probe: FoundProbe, madeAt: string | undefined) => unknown,
  clock: { monotonicMs(): number },
  onRejected: (why: string) => void,
  deadMs = 60_000,
): ModuleHook {
  const groups = new Map<string, Group>()
  const known = new KnownClients<Group>('databases of single clients of pg', isGone, onRejected)
  const found = (client: BareClient, boundary: (...args: never[]) => unknown): void => {
    if (isOurs(client)) return
    const by = madeBy(boundary, OWN_FRAMES)
    if (by.kind === 'library' || (by.kind === 'app' && OF_A_POOL.test(by.through ?? by.at))) return
    for (const [key, old] of groups) if (isGone(old)) groups.delete(key)
    const key = identityOf(client)
    let group = groups.get(key)
    if (!group) {
      group = newGroup(client, () => clock.monotonicMs(), deadMs)
      const own = group
      if (!known.add(own)) return
      groups.set(key, own)
      const probe = bareProbe(own, () => known.isAnother(own, ({ wasWritable }) => wasWritable))
      add(probe, by.at)
    }
    group.lines.found()
    if (group.members.size < MOST_CLIENTS) group.members.add(newMember(client))
  }
  return {
    name: 'pg (health)',
    module: 'pg',
    versions: '>=8.0.0 <9',
    patch({ Client }: Exports) {
      const prototype = Client?.prototype
      if (typeof prototype?.connect !== 'function') throw new TypeError('pg exports no client that connects')
      if (watched.has(prototype)) return
      watched.add(prototype)
      const original = prototype.connect
      const connect: Connect = function (...args) {
        try {
          found(this, connect)
        } catch {
          // the app gets its connection, whatever becomes of the probe
        }
        return original.apply(this, args)
      }
      prototype.connect = connect
    },
  }
}

function identityOf({ connectionParameters: given }: BareClient): string {
  return JSON.stringify([given?.host, given?.port, given?.database, given?.user])
}

function newGroup({ connectionParameters }: BareClient, now: () => number, deadMs: number): Group {
  const host = connectionParameters?.host
  const group: Group = {
    members: new Set(),
    lines: new SingleConnections(look, now, 0),
    questions: new OpenQuestions(now),
    // What nobody wants need not come back: a client that was for the start alone.
    control: new FreshControl((result) => isSilent(result) && group.isWanted, now, deadMs),
    isWanted: false,
    question: QUESTION,
    wasWritable: false,
    hint: namesReplica(typeof host === 'string' ? host : ''),
  }
  return group
}

function newMember(client: BareClient): Member {
  const member: Member = { ref: new WeakRef(client), transaction: undefined }
  if (typeof client.getTransactionStatus !== 'function')
    client.connection?.on?.('readyForQuery', (told) => (member.transaction = told?.status))
  return member
}

/** The app has ended, or let go of, all of them, and made no other since. */
function isGone(group: Group): boolean {
  return group.lines.areGone(living(group).length)
}

interface Living {
  readonly client: BareClient
  readonly member: Member
}

function living({ members }: Group): Living[] {
  const found: Living[] = []
  for (const member of members) {
    const client = member.ref.deref()
    if (!client || client._ending) members.delete(member)
    else found.push({ client, member })
  }
  return found
}

function bareProbe(group: Group, anotherIsWritable: () => boolean): FoundProbe {
  return {
    name: 'postgresql',
    component: 'postgresql',
    criticality: 'required',
    isGone: () => isGone(group),
    async check(signal) {
      const result = await check(group, signal, anotherIsWritable)
      const all = living(group)
      const [one] = all
      if (!one) return result
      group.isWanted = isSilent(result) && (group.isWanted || all.some((each) => isWaitedFor(each, group)))
      return group.control.judge(result, () =>
        experiment(
          one.client,
          all.filter(isOpen).map(({ client }) => client),
        ),
      )
    },
  }
}

async function check(group: Group, signal: AbortSignal, anotherIsWritable: () => boolean): Promise<ProbeResult> {
  // One that is about to be is waited for.
  await untilSo(() => living(group).some(isOpen) || !living(group).some(isComing), signal)
  const all = living(group)
  const open = all.filter(isOpen)
  const observed: Observed = {
    clients: { value: all.length, unit: 'count' },
    open: { value: open.length, unit: 'count' },
  }
  if (all.length === 0) return { status: 'pass', observed }
  if (open.length === 0) return notOpen(all, group, observed)
  // Those that are lost have been replaced.
  for (const each of all) if (!isOpen(each) && !isComing(each)) group.members.delete(each.member)
  const isQuiet = group.lines.isSilent(open)
  const clients = open.map(({ client }) => client)
  const unasked = open.filter(({ client }) => !group.questions.isOn(client))
  const idle = await group.lines.free(unasked, signal)
  const answer = idle
    ? group.questions.put(idle.client, (client) => ask(group, client))
    : group.questions.first(clients)
  // Between the app's own statements nothing is asked: in a transaction ours would be one of its.
  if (!answer) return isQuiet ? checkSilent(group, open, { observed, signal }) : seen(observed)
  try {
    const row = await untilAborted(answer, signal)
    if (row === 'late') return sick('timeout', 'connected, but the server did not answer within the deadline', observed)
    const isPlain = group.question !== QUESTION
    return group.questions.warn(judgeServer(row, group, { observed, anotherIsWritable, isPlain }), clients)
  } catch (error) {
    return judgeRefusal(error, group, { observed, isFull: false })
  }
}

function checkSilent(
  group: Group,
  open: readonly Living[],
  { observed, signal }: { readonly observed: Observed; readonly signal: AbortSignal },
): Promise<ProbeResult> {
  const clients = open.map(({ client }) => client)
  return group.lines.judgeSilent(open, observed, {
    askBeside: () => untilAborted(askBeside(clients[0]!, clients), signal),
    refused: (error) => judgeRefusal(error, group, { observed, isFull: false }),
  })
}

function isOpen({ client }: Living): boolean {
  return Boolean(client._connected) && client._queryable !== false
}

function isComing({ client }: Living): boolean {
  return !client._connected && !client._connectionError
}

function isWaitedFor(one: Living, { questions }: Group): boolean {
  const { client } = one
  return isComing(one) || waitingIn(client) > 0 || (client.readyForQuery !== true && !questions.isOn(client))
}

/** A client of pg does not connect a second time: who holds one that is lost has nothing. */
function notOpen(all: readonly Living[], group: Group, observed: Observed): ProbeResult {
  for (const each of all) if (!isComing(each)) watchLost(each.client, () => (group.isWanted = true))
  return all.some(isComing)
    ? sick('not_connected', 'the client has not connected yet', observed)
    : sick('connection_lost', 'the connection has ended or was never made, and the app has no other', observed)
}

function look({ client, member }: Living): Look {
  const waiting = waitingIn(client)
  const isReady = client.readyForQuery === true
  return {
    isBusy: !isReady,
    isIdle: isReady && waiting === 0 && (client.getTransactionStatus?.() ?? member.transaction) === 'I',
    isWaitedFor: !isReady && waiting > 0,
    bytes: client.connection?.stream?.bytesRead ?? 0,
  }
}

function waitingIn(client: BareClient): number {
  return (client._queryQueue ?? client.queryQueue)?.length ?? 0
}

function ask(group: Group, client: BareClient): Promise<Row> {
  return client.query(group.question).then(({ rows }) => rows[0] ?? {})
}
