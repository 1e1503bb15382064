// The patrol: reads the journals, finds the dead, settles what they left open, and tells it. One for each ledger folder. It only
// ever appends facts; readers ask it and never write.
import {
  postOtlp,
  type Clock,
  type Incident,
  type OtlpReply,
  type OtlpSettings,
  type TaskId,
} from '@afterspan/core/internal'
import type { Knocked } from '../door.ts'
import type { LedgerChange, LedgerStore, OutboxRow, ProcessRow, TaskRow } from '../ledger/store.ts'
import { incidentsOf } from '../report/incidents.ts'
import { copiesOf } from '../task-copies.ts'
import { kindOf, OTHERS, TASKS_COUNTER } from './counting.ts'
import { createCourier, type Courier } from './courier.ts'
import { Deaths, inFlightOf, isReadFor, isWaitedFor, leftTimersOf, type Death } from './deaths.ts'
import { descendants } from './descendants.ts'
import { digest, touchedBy, type Batch, type Known } from './digest.ts'
import { Emptied } from './emptied.ts'
import { endedThread } from './ended-threads.ts'
import type { Liveness } from './liveness.ts'
import { lossesOf } from './losses.ts'
import { toldBefore } from './joining.ts'
import { KnownProcesses, MOST_DEAD, writersOf } from './known-processes.ts'
import { isNameless } from './nameless.ts'
import { removeNobodysFiles } from './nobodys-files.ts'
import { createSettled } from './settled.ts'
import { contestedBy } from './successors.ts'
import { keysIn, removeRead } from './remove-read.ts'
import { listSegments, tail, type Reading } from './tail.ts'
import { crashedRequest } from './telling.ts'
import { noTotals } from './totals.ts'

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
const KNOCK_MS = 1_000
const MOST_DETECTIONS = 1_000
/** In one sweep: where more is written than can be read, the dead are still looked for. */
const READING_MS = 1_000
/** Of the tasks that the dead left open, in one change. */
const MOST_BURIED = 1_000
const NONE: ReadonlyMap<TaskId, TaskId> = new Map()

export class Patrol {
  readonly totals = noTotals()
  readonly settled = createSettled()
  readonly processes = new KnownProcesses()
  readonly #settings: PatrolSettings
  readonly #ledger: LedgerStore
  readonly #seenAlive = new Map<string, number>()
  readonly #stalled = new Set<string>()
  /** Of whom the last look said neither that they live nor that they are dead, or not who they are. */
  #unseen: ProcessRow[] = []
  #knockedAt = -Infinity
  readonly #deaths: Deaths
  readonly #emptied: Emptied
  #offsets = new Map<string, number>()
  /** A commit was begun and its answer has not come: it may be there or not, and the ledger has to say how far it is. */
  #isUnsure = false
  /** Undefined: to be asked for again. */
  #orphans: ReadonlyMap<TaskId, readonly TaskId[]> | undefined
  readonly #kinds = new Set<string>()
  #courier: Courier | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(settings: PatrolSettings) {
    this.#settings = settings
    this.#ledger = settings.ledger
    this.#deaths = new Deaths(settings.dir)
    this.#emptied = new Emptied(settings.dir)
  }

  async open(): Promise<void> {
    const { otlp, onExportFailure: onFailure, post } = this.#settings
    await this.#ledger.open()
    await this.#recall()
    this.#emptied.recall(this.#settings.clock.monotonicMs())
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
    for (const row of await this.#ledger.processes(MOST_DEAD)) this.processes.set(asHere(row))
    for (const row of await this.#ledger.processesOf(keysIn(this.#settings.dir))) this.processes.set(asHere(row))
    this.#noteKinds(await this.#ledger.counters())
    this.#isUnsure = false
  }

  /**
   * One pass: read, find the dead, tell. Public, so that tests and the command line need no timers. A collector that does not
   * answer is waited for no longer than `patienceMs`: the telling then goes on beside the next passes.
   */
  async sweepOnce(patienceMs = Infinity): Promise<SweepSummary> {
    const { clock } = this.#settings
    const until = patienceMs === Infinity ? Infinity : clock.monotonicMs() + READING_MS
    const ingested = await this.#ingest({ isEnough: () => clock.monotonicMs() > until })
    const isLate = clock.monotonicMs() > until
    const examined = this.processes.size
    this.#deaths.add(this.#findDead(), 'process_gone', this.#offsets)
    let lost = await this.#buryAll(patienceMs) // before doors are knocked at: one that does not answer is waited for
    this.#deaths.add(await this.#ledger.lapsed(), 'lease', this.#offsets)
    this.#deaths.add(await this.#findGone(), 'lock_free', this.#offsets)
    lost += await this.#buryAll(patienceMs)
    await this.#emptied.settle(this.#ledger, clock.monotonicMs(), (batches) => this.#apply(batches, {}))
    await this.#forgetRead()
    const reported = (await this.#courier?.deliver(this.#settings.clock.now(), patienceMs)) ?? 0
    this.totals.lastRunAt = this.#settings.clock.now()
    this.totals.sweptAtMs = this.#settings.clock.monotonicMs()
    const more = isLate || this.#deaths.first() ? { hasMore: true as const } : {}
    return { ingested, ...more, examined, lost, reported }
  }

  /** Removes what is too old or too much, in the ledger and in memory. Returns how many tasks. */
  async prune(limits: Parameters<LedgerStore['prune']>[0]): Promise<number> {
    const removed = await this.#ledger.prune(limits)
    await removeNobodysFiles(this.#settings.dir, this.#settings.clock.now(), this.#ledger)
    this.processes.forgetDeadBefore(limits.before)
    return removed
  }

  isStalled(key: string): boolean {
    return this.#stalled.has(key)
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

  async #ingest({ isWanted = () => true, isFinal = () => false, isEnough }: Reading): Promise<number> {
    const { dir } = this.#settings
    let ingested = 0
    if (this.#isUnsure) await this.#recall()
    for (;;) {
      const wanted = listSegments(dir).filter(({ key }) => isWanted(key))
      const { batches, segments, torn, strange, hasMore } = tail(dir, wanted, this.#offsets, isFinal)
      if (segments.length === 0) return ingested
      this.#emptied.note(batches, this.#settings.clock.monotonicMs())
      await this.#apply(batches, { segments })
      for (const { file, offset } of segments) this.#offsets.set(file, offset)
      this.totals.torn += torn
      this.totals.strange += strange
      for (const { events } of batches) ingested += events.length
      if (!hasMore || isEnough()) return ingested
      await othersTurn()
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
    this.#noteKinds(change.counters)
    this.settled.note(change, known, known.now)
    if (incidents.length > 0) {
      this.#settings.onIncidents?.(incidents)
      if (isProof) this.#settings.onProven?.(incidents)
    }
    for (const row of processes) {
      if (isNameless(row) && !this.processes.get(row.key)) this.totals.nameless++
      this.processes.set(row)
    }
  }

  #noteKinds(counters: LedgerChange['counters'] = []): void {
    for (const { name, labels } of counters)
      if (name === TASKS_COUNTER && labels['destination'] !== OTHERS) this.#kinds.add(kindOf(labels))
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
    const copies = [...tasks.values()].flatMap(({ facts }) => (facts.copies ? copiesOf(facts) : []))
    if (copies.length > 0) for (const [id, row] of await ledger.tasks(copies)) tasks.set(id, row)
    const own = [...tasks].flatMap(([id, { requestKey = id }]) => (requestKey === id ? [] : requestKey))
    const keys = [...new Set([...touched.requests, ...own])]
    const requests = await ledger.requests(keys)
    await this.processes.find(writersOf(batches, tasks.values(), requests.values()), ledger)
    return {
      now: this.#settings.clock.now(),
      tasks,
      requests,
      tasksOfRequests: await ledger.tasksOfRequests(keys.filter((k) => requests.has(k) || touched.answered.has(k))),
      processes: this.processes,
      orphans,
      kinds: this.#kinds,
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
    const isContested = contestedBy(this.processes.living())
    for (const row of this.processes.living()) {
      if (this.#deaths.has(row.key)) continue
      const ended = endedThread(row, this.processes.allOfFolder())
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

  /** Those of whom all is read that may speak for them; the others wait for the next sweep. */
  async #buryAll(patienceMs: number): Promise<number> {
    let lost = 0
    for (let death = this.#deaths.first(); death; death = this.#deaths.first()) {
      if (!(await this.#hasReadFor(death, patienceMs))) break
      lost += await this.#bury(death)
      this.#deaths.removeFirst()
    }
    return lost
  }

  /** Everything that was written when they were found dead comes first: what looks open may have been closed with their last breath. */
  async #hasReadFor(death: Death, patienceMs: number): Promise<boolean> {
    const { clock } = this.#settings
    const until = patienceMs === Infinity ? Infinity : clock.monotonicMs() + READING_MS
    let isLate = false
    await this.#ingest({
      isFinal: (key) => death.rows.has(key),
      isWanted: (key) => death.rows.has(key) || isWaitedFor(death, key),
      isEnough: () => isReadFor(death, this.#offsets) || (isLate = clock.monotonicMs() > until),
    })
    return !isLate
  }

  /** Settles what the dead left open: a part at a time, and they themselves with the last. */
  async #bury({ rows, evidence }: Death): Promise<number> {
    const timers = leftTimersOf(this.#settings.dir, rows.keys())
    if (timers.length > 0) await this.#apply(timers, {})
    const ids = await this.#ledger.openTasksOf([...rows.keys()])
    const now = this.#settings.clock.now()
    let lost = 0
    for (let i = 0; i === 0 || i < ids.length; i += MOST_BURIED) {
      const tasks = [...(await this.#ledger.tasks(ids.slice(i, i + MOST_BURIED))).values()]
      const isLast = i + MOST_BURIED >= ids.length
      const batches: Batch[] = []
      const processes: ProcessRow[] = []
      const outbox: OutboxRow[] = []
      for (const key of rows.keys()) {
        const row = { ...rows.get(key)!, ...this.processes.ofFolder(key) }
        const requests = isLast ? await inFlightOf(this.#settings.dir, this.#ledger, key) : []
        const events = lossesOf(row, { tasks, requests }, evidence, now, this.#aliveAt(key))
        if (events.length > 0) batches.push({ by: key, events })
        outbox.push(...requests.map((request) => crashedRequest(request, row, now, evidence)))
        if (isLast) processes.push({ ...row, deadAt: now, ...(evidence === 'lease' ? { isLapsed: true } : {}) })
        lost += events.length
      }
      await this.#apply(batches, { processes, outbox }, true)
      if (!isLast) await othersTurn()
    }
    for (const key of rows.keys()) {
      this.#stalled.delete(key)
      this.#noteDetection(key)
    }
    return lost
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

  async #forgetRead(): Promise<void> {
    const forgotten = removeRead(this.#settings.dir, this.#offsets, (key) => this.processes.isDead(key))
    this.processes.trim()
    if (forgotten.length === 0) return
    await this.#ledger.commit({ forgottenSegments: forgotten })
    for (const file of forgotten) this.#offsets.delete(file)
  }
}

function asHere({ deadAt, isLapsed, ...row }: ProcessRow): ProcessRow {
  return deadAt === undefined || isLapsed ? row : { ...row, deadAt }
}

/** What takes long is done in parts: whoever asks this thread has a turn in between. */
function othersTurn(): Promise<unknown> {
  return new Promise(setImmediate)
}
