// The patrol: reads the journals, finds the dead, settles what they left open, and tells it. One for each ledger folder. It only
// ever appends facts; readers ask it and never write.
import {
  postOtlp,
  type Clock,
  type EpochMs,
  type Evidence,
  type Incident,
  type OtlpReply,
  type OtlpSettings,
  type RequestReceived,
  type TaskId,
} from '@afterspan/core/internal'
import { listDoors, removeDoor, type Knocked } from '../door.ts'
import { listFlightFiles, readFlightFile, removeFlightFile } from '../journal/flight.ts'
import type { LedgerChange, LedgerStore, OutboxRow, ProcessRow, TaskRow } from '../ledger/store.ts'
import { incidentsOf } from '../report/incidents.ts'
import { copiesOf } from '../task-copies.ts'
import { requestSpan } from '../told-span.ts'
import { createCourier, type Courier } from './courier.ts'
import { descendants } from './descendants.ts'
import { digest, requestKeyOf, touchedBy, type Batch, type Known } from './digest.ts'
import { endedThread } from './ended-threads.ts'
import { adoptLeftSpans, leftSpanIds } from './left-spans.ts'
import type { Liveness } from './liveness.ts'
import { deathOf, lossesOf } from './losses.ts'
import { toldBefore } from './joining.ts'
import { isNameless } from './nameless.ts'
import type { DropReason } from './outbox.ts'
import { createSettled } from './settled.ts'
import { contestedBy } from './successors.ts'
import { hasSegment, isReadTo, listSegments, removeSegment, tail } from './tail.ts'
import { request } from './telling.ts'

export interface SweepSummary {
  /** Events read from journals. */
  readonly ingested: number
  /** More is there to be read than one sweep takes. */
  readonly hasMore?: true
  /** Processes that were looked at. */
  readonly examined: number
  /** Tasks and requests whose owner was proven dead. */
  readonly lost: number
  /** Spans that the collector took. */
  readonly reported: number
}
export interface PatrolSettings {
  readonly dir: string
  readonly ledger: LedgerStore
  readonly clock: Clock
  readonly look: (process: ProcessRow) => Liveness
  /** Asks for the proof of those that cannot be looked at. */
  readonly knock?: (process: ProcessRow) => Promise<Knocked>
  /** Undefined: nothing is told, only kept. */
  readonly otlp: OtlpSettings | undefined
  readonly post?: (settings: OtlpSettings, body: Uint8Array) => Promise<OtlpReply>
  readonly onExportFailure: (reply: OtlpReply) => void
  /** What people want to be told of, once each, after it is in the ledger. */
  readonly onIncidents?: (incidents: readonly Incident[]) => void
  /** Those of them that nobody else can tell: whose process is dead by proof, or has not renewed its lease. */
  readonly onProven?: (incidents: readonly Incident[]) => void
}
export interface PatrolTotals {
  torn: number
  /** Whole records that could not be understood. */
  strange: number
  /** Writers whose journal does not say who they are. */
  nameless: number
  readonly undelivered: Record<DropReason, number>
  lastRunAt: EpochMs
  /** The same on the monotonic clock: what is counted from it must not jump with the wall's. */
  sweptAtMs: number
  /** Seconds from the last sign of life to the proof of death, not yet taken by the metrics; at most 1,000. */
  detectionSeconds: number[]
}

const KNOCK_MS = 1_000
const MOST_DETECTIONS = 1_000
/** In one sweep: where more is written than can be read, the dead are still looked for. */
const READING_MS = 1_000
const NONE: ReadonlyMap<TaskId, TaskId> = new Map()

export class Patrol {
  readonly totals: PatrolTotals = {
    torn: 0,
    strange: 0,
    nameless: 0,
    undelivered: { refused: 0, outbox_full: 0, spool_full: 0 },
    lastRunAt: 0 as EpochMs,
    sweptAtMs: -Infinity,
    detectionSeconds: [],
  }
  readonly settled = createSettled()
  readonly #settings: PatrolSettings
  readonly #ledger: LedgerStore
  readonly #processes = new Map<string, ProcessRow>()
  readonly #seenAlive = new Map<string, number>()
  readonly #stalled = new Set<string>()
  /** Of whom the last look said neither that they live nor that they are dead, or not who they are. */
  #unseen: ProcessRow[] = []
  #knockedAt = -Infinity
  #offsets = new Map<string, number>()
  /** A commit was begun and its answer has not come: it may be there or not, and the ledger has to say how far it is. */
  #isUnsure = false
  /** Undefined: to be asked for again. */
  #orphans: ReadonlyMap<TaskId, readonly TaskId[]> | undefined
  #courier: Courier | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(settings: PatrolSettings) {
    this.#settings = settings
    this.#ledger = settings.ledger
  }

  async open(): Promise<void> {
    const { otlp, onExportFailure: onFailure, post } = this.#settings
    await this.#ledger.open()
    await this.#recall()
    if (!otlp) return
    this.#courier = createCourier({
      dir: this.#settings.dir,
      ledger: this.#ledger,
      settings: otlp,
      onFailure,
      onDropped: (spans, reason) => {
        this.totals.undelivered[reason] += spans
      },
      exclusive: (work) => this.#inTurn(work),
      post: post ?? postOtlp,
    })
  }

  /** How far it is, as the ledger has it. */
  async #recall(): Promise<void> {
    this.#offsets = new Map(await this.#ledger.segments())
    for (const row of await this.#ledger.processes()) this.#processes.set(row.key, row)
    this.#isUnsure = false
  }

  /**
   * One pass: read, find the dead, tell. Public, so that tests and the command line need no timers. A collector that does not
   * answer is waited for no longer than `patienceMs`: the telling then goes on beside the next passes.
   */
  async sweepOnce(patienceMs = Infinity): Promise<SweepSummary> {
    const { clock } = this.#settings
    const until = patienceMs === Infinity ? Infinity : clock.monotonicMs() + READING_MS
    const ingested = await this.#ingest(() => false, until)
    const more = clock.monotonicMs() > until ? { hasMore: true as const } : {}
    const dead = this.#findDead()
    let lost = dead.length > 0 ? await this.#bury(dead) : 0
    const lapsed = await this.#ledger.lapsed()
    if (lapsed.length > 0) lost += await this.#bury(lapsed, 'lease')
    const gone = await this.#findGone()
    if (gone.length > 0) lost += await this.#bury(gone, 'lock_free')
    await this.#forgetRead()
    const reported = (await this.#courier?.deliver(this.#settings.clock.now(), patienceMs)) ?? 0
    this.totals.lastRunAt = this.#settings.clock.now()
    this.totals.sweptAtMs = this.#settings.clock.monotonicMs()
    return { ingested, ...more, examined: this.#processes.size, lost, reported }
  }

  /** Removes what is too old or too much, in the ledger and in memory. Returns how many tasks. */
  async prune(limits: Parameters<LedgerStore['prune']>[0]): Promise<number> {
    const removed = await this.#ledger.prune(limits)
    for (const { key, deadAt } of this.#processes.values())
      if (deadAt !== undefined && deadAt < limits.before) this.#processes.delete(key)
    return removed
  }

  isStalled(key: string): boolean {
    return this.#stalled.has(key)
  }

  process(key: string): ProcessRow | undefined {
    return this.#processes.get(key)
  }

  close(): Promise<void> {
    return this.#ledger.close()
  }

  /** What one reads to write it again, the other must not write meanwhile: a sweep, and the courier beside it. */
  #inTurn<T>(work: (ledger: LedgerStore) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => this.#ledger.exclusive(work))
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #ingest(isFinal: (key: string) => boolean, untilMs = Infinity): Promise<number> {
    const { dir, clock } = this.#settings
    let ingested = 0
    if (this.#isUnsure) await this.#recall()
    for (;;) {
      const { batches, segments, torn, strange, hasMore } = tail(dir, listSegments(dir), this.#offsets, isFinal)
      if (segments.length === 0) return ingested
      await this.#apply(batches, { segments })
      for (const { file, offset } of segments) this.#offsets.set(file, offset)
      this.totals.torn += torn
      this.totals.strange += strange
      for (const { events } of batches) ingested += events.length
      if (!hasMore || clock.monotonicMs() > untilMs) return ingested
      await new Promise(setImmediate) // a backlog may take long, and whoever asks this thread has a turn meanwhile
    }
  }

  /** Decides what the batches change and commits it, with `beside`, as one. */
  async #apply(batches: readonly Batch[], beside: LedgerChange, isProof = false): Promise<void> {
    this.#isUnsure = true
    const { processes, incidents, change, known } = await this.#inTurn(async (ledger) => {
      const known = await this.#knownOf(batches, ledger)
      const change = digest(batches, known)
      const outbox = this.#settings.otlp ? [...(change.outbox ?? []), ...(beside.outbox ?? [])] : []
      const changed = [...(change.processes ?? []), ...(beside.processes ?? [])]
      const hasOrphan = change.tasks?.some(({ requestKey, facts }) => !requestKey && facts.spawned?.parent)
      if (hasOrphan || this.#orphans?.size || ledger.isShared) this.#orphans = undefined
      await ledger.commit({ ...change, ...beside, outbox, processes: changed })
      return { processes: changed, incidents: this.#incidentsOf(batches, change, known, isProof), change, known }
    })
    this.#isUnsure = false
    this.settled.note(change, known, known.now)
    if (incidents.length > 0) {
      this.#settings.onIncidents?.(incidents)
      if (isProof) this.#settings.onProven?.(incidents)
    }
    for (const row of processes) {
      if (isNameless(row) && !this.#processes.has(row.key)) this.totals.nameless++
      this.#processes.set(row.key, row)
    }
  }

  #incidentsOf(batches: readonly Batch[], change: LedgerChange, known: Known, isProof: boolean): readonly Incident[] {
    const { onIncidents, onProven } = this.#settings
    if (!onIncidents && !(isProof && onProven)) return []
    return incidentsOf(
      batches,
      change.tasks ?? [],
      toldBefore(change, known.tasks),
      (key) => known.processes.get(key)?.worker.service,
    )
  }

  async #knownOf(batches: readonly Batch[], ledger: LedgerStore): Promise<Known> {
    const touched = touchedBy(batches)
    const orphans = (this.#orphans ??= await ledger.orphans())
    const tasks = await this.#tasksOf(touched, orphans, ledger)
    const unknown = touched.tasks.filter((id) => !tasks.has(id) && !touched.announced.has(id))
    const joined = unknown.length > 0 ? await ledger.joined(unknown) : NONE
    if (joined.size > 0) for (const [id, row] of await ledger.tasks([...joined.values()])) tasks.set(id, row)
    const copies: TaskId[] = []
    for (const { facts } of tasks.values()) if (facts.copies) copies.push(...copiesOf(facts))
    if (copies.length > 0) for (const [id, row] of await ledger.tasks(copies)) tasks.set(id, row)
    const keys = new Set(touched.requests)
    for (const { requestKey } of tasks.values()) if (requestKey) keys.add(requestKey)
    return {
      now: this.#settings.clock.now(),
      tasks,
      requests: await ledger.requests([...keys]),
      tasksOfRequests: await ledger.tasksOfRequests([...keys]),
      processes: this.#processes,
      orphans,
      joined,
    }
  }

  /** With those that are found by a message, and all that wait below them. */
  async #tasksOf(
    { tasks, messages }: ReturnType<typeof touchedBy>,
    orphans: ReadonlyMap<TaskId, readonly TaskId[]>,
    ledger: LedgerStore,
  ): Promise<Map<TaskId, TaskRow>> {
    const found = messages.length > 0 ? await ledger.tasksOfMessages(messages) : []
    const ids = [...tasks, ...found.map(({ facts }) => facts.taskId)]
    const rows = new Map(await ledger.tasks([...tasks, ...descendants(ids, orphans)]))
    for (const row of found) rows.set(row.facts.taskId, row)
    return rows
  }

  /** Processes that are proven dead now, and were not before. */
  #findDead(): ProcessRow[] {
    const dead: ProcessRow[] = []
    this.#unseen = []
    const now = this.#settings.clock.monotonicMs()
    const isContested = contestedBy(this.#processes.values())
    for (const row of this.#processes.values()) {
      if (row.deadAt !== undefined) continue
      const ended = endedThread(row, this.#processes.values())
      if (ended) {
        dead.push(ended)
        continue
      }
      const liveness = this.#settings.look(row)
      if (liveness === 'dead') {
        dead.push(row)
        continue
      }
      if (liveness === 'unknown' || isContested(row)) this.#unseen.push(row)
      if (liveness === 'stalled') this.#stalled.add(row.key)
      else this.#stalled.delete(row.key)
      this.#seenAlive.set(row.key, now)
    }
    return dead
  }

  /** Of those that cannot be seen from here, the ones whose door is shut. Each is asked once a second. */
  async #findGone(): Promise<ProcessRow[]> {
    const { clock, knock } = this.#settings
    const now = clock.monotonicMs()
    if (!knock || this.#unseen.length === 0 || now - this.#knockedAt < KNOCK_MS) return []
    this.#knockedAt = now
    const answers = await Promise.all(this.#unseen.map(knock))
    // An orderly end takes the door away, and has said that it comes.
    return this.#unseen.filter(({ exiting }, i) => answers[i] === 'shut' || (exiting && answers[i] === 'none'))
  }

  /** Settles what the dead left open. Everything that they wrote comes first: what looks open may have been closed with their last breath. */
  async #bury(dead: readonly ProcessRow[], evidence: Evidence = 'process_gone'): Promise<number> {
    const rows = new Map(dead.map((row) => [row.key, row]))
    const keys = new Set(rows.keys())
    await this.#ingest((key) => keys.has(key))
    const tasks = await this.#ledger.openTasksOf([...keys])
    const now = this.#settings.clock.now()
    const batches: Batch[] = []
    const processes: ProcessRow[] = []
    const outbox: OutboxRow[] = []
    for (const key of keys) {
      const row = { ...rows.get(key)!, ...this.#processes.get(key) }
      const open = await this.#inFlightOf(key)
      const events = lossesOf(row, { tasks, requests: open }, evidence, now, this.#aliveAt(key))
      if (events.length > 0) batches.push({ by: key, events })
      outbox.push(...open.map((lost) => crashedRequest(lost, row, now, evidence)))
      processes.push({ ...row, deadAt: now })
    }
    await this.#apply(batches, { processes, outbox }, true)
    for (const key of keys) {
      this.#stalled.delete(key)
      this.#noteDetection(key)
    }
    return batches.reduce((n, { events }) => n + events.length, 0)
  }

  /** What a dead process had in flight, but for what it had answered with its last breath. */
  async #inFlightOf(key: string): Promise<RequestReceived[]> {
    const requests = readFlightFile(this.#settings.dir, key)
    const known = await this.#ledger.requests(requests.map(({ origin }) => requestKeyOf(origin)))
    const ended = leftSpanIds(this.#settings.dir, key)
    return requests.filter(({ origin }) => !ended.has(origin.spanId) && !known.get(requestKeyOf(origin))?.answered)
  }

  #aliveAt(key: string): number | undefined {
    const seen = this.#seenAlive.get(key)
    const { clock } = this.#settings
    return seen === undefined ? undefined : clock.now() - (clock.monotonicMs() - seen)
  }

  #noteDetection(key: string): void {
    const seen = this.#seenAlive.get(key)
    this.#seenAlive.delete(key)
    const { detectionSeconds } = this.totals
    if (seen === undefined || detectionSeconds.length >= MOST_DETECTIONS) return
    detectionSeconds.push((this.#settings.clock.monotonicMs() - seen) / 1000)
  }

  /**
   * Removes what the dead have left, also those whom an earlier patrol buried, and the segments of the living that are read to
   * the end and have a successor. The file goes first: the place in one that is gone is forgotten later, a file whose place is
   * forgotten would be read again.
   */
  async #forgetRead(): Promise<void> {
    const { dir } = this.#settings
    const isDead = (key: string): boolean => this.#processes.get(key)?.deadAt !== undefined
    adoptLeftSpans(dir, isDead)
    for (const key of listFlightFiles(dir)) if (isDead(key)) removeFlightFile(dir, key)
    for (const key of listDoors(dir)) if (isDead(key)) removeDoor(dir, key)
    const segments = listSegments(dir)
    const there = new Set(segments.map(({ file }) => file))
    for (const [i, { key, file }] of segments.entries())
      if (isDead(key) || (segments[i + 1]?.key === key && isReadTo(dir, file, this.#offsets.get(file)))) {
        removeSegment(dir, file)
        there.delete(file)
      }
    const forgotten = [...this.#offsets.keys()].filter((file) => !there.has(file) && !hasSegment(dir, file))
    if (forgotten.length === 0) return
    await this.#ledger.commit({ forgottenSegments: forgotten })
    for (const file of forgotten) this.#offsets.delete(file)
  }
}

function crashedRequest(received: RequestReceived, row: ProcessRow, now: EpochMs, evidence: Evidence): OutboxRow {
  const span = requestSpan(received, { at: now, ...deathOf(row, evidence) })
  return { spanId: span.spanId, body: request(span, row), tries: 0, nextAt: now }
}
