// The patrol as a service: takes the lock when it is free, then sweeps four times a second and answers on its socket. Beside the
// app on the side thread, or as `afterspan patrol`.
import { existsSync } from 'node:fs'
import type { Server } from 'node:http'
import type { Clock, EpochMs, ErrorCode, Incident, OtlpSettings } from '@afterspan/core/internal'
import { folderId } from '../ledger/folder-id.ts'
import { createPostgresLedger } from '../ledger/postgres.ts'
import { knock } from '../door.ts'
import { createSqliteLedger } from '../ledger/sqlite.ts'
import { PRUNED_AT_ONCE, type LedgerStore } from '../ledger/store.ts'
import { answer, type Answer } from '../query/answer.ts'
import { serveSocket } from '../query/socket.ts'
import { castVote } from '../query/vote.ts'
import { createWebhook, type Webhook } from '../report/webhook.ts'
import { ownWorkerRef } from '../worker-ref.ts'
import { createStanding, type Standing } from './standing.ts'
import { isOnSameKernel, look, ownVantage } from './liveness.ts'
import { isLocalFolder } from './local-folder.ts'
import { createPatrolLock, type PatrolLock } from './lock.ts'
import { Patrol, type SweepSummary } from './patrol.ts'

/** Plain data: it crosses threads. */
export interface PatrolServiceSettings {
  readonly dir: string
  readonly otlp: OtlpSettings | undefined
  readonly serviceName: string
  readonly retentionDays: number
  /** Absent: open tasks are waited for for ever. */
  readonly openDays?: number
  readonly maxBytes: number
  /** Empty: SQLite in the folder. */
  readonly ledgerUrl?: string
  /** Empty: incidents are told to nobody but the collector. */
  readonly webhookUrl?: string
}
export type Say = (code: ErrorCode, message: string) => void
/** To the app beside which the patrol runs. */
export type Tell = (incidents: readonly Incident[]) => void

const SWEEP_MS = 250
const LOCK_MS = 500
const LAST_MS = 10_000
/** A collector on the same host answers within it. */
const PATIENCE_MS = 100
/** A busy host may write a gigabyte in some minutes; to weigh a database that all share takes longer, and each of them does. */
const PRUNE_MS = 60_000
/** Of each sweep. */
const PRUNING_MS = 200
const PRUNE_SHARED_MS = 3_600_000
const DAY_MS = 86_400_000

export class PatrolService {
  readonly #settings: PatrolServiceSettings
  readonly #clock: Clock
  readonly #say: Say
  readonly #tell: Tell | undefined
  readonly #lock: PatrolLock
  readonly #webhook: Webhook | undefined
  #patrol: Patrol | undefined
  #ledger: LedgerStore | undefined
  #server: Server | undefined
  #standing: Standing | undefined
  #stop: (() => void) | undefined
  /** While a tick was under way: what it still does then fails, and is no news. */
  #isStopped = false
  #hasFailed = false
  #lastLockTry = -Infinity
  #lastPrune = -Infinity

  constructor(settings: PatrolServiceSettings, clock: Clock, say: Say, tell?: Tell) {
    this.#tell = tell
    this.#settings = settings
    this.#clock = clock
    this.#say = say
    this.#lock = createPatrolLock(settings.dir)
    this.#webhook = settings.webhookUrl ? this.#createWebhook(settings.webhookUrl) : undefined
  }

  /** The patrol, while this process is it. */
  get patrol(): Patrol | undefined {
    return this.#patrol
  }
  /** Whether the last tick was ended by an error, which was said. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }
  get ledger(): LedgerStore | undefined {
    return this.#patrol && this.#ledger
  }

  /** Sweeps from now on. */
  start(): void {
    this.#stop ??= this.#clock.every(SWEEP_MS, async () => {
      await this.tick()
    })
  }

  async stop(): Promise<void> {
    this.#stop?.()
    this.#stop = undefined
    this.#isStopped = true
    await this.#sayLast()
    await this.#letGo()
  }

  /** The others can only read what was brought: what is still in the journals of a host that goes would look lost to them. */
  async #sayLast(): Promise<void> {
    if (!this.#ledger?.isShared) return
    const until = this.#clock.monotonicMs() + LAST_MS
    try {
      // A sweep that read for as long as it may has left something.
      while (((await this.#patrol?.sweepOnce(PATIENCE_MS))?.hasMore ?? false) && this.#clock.monotonicMs() < until);
    } catch {
      // the database is away: the journals stay, and the next start on this folder brings them
    }
  }

  async #letGo(): Promise<void> {
    this.#patrol = undefined
    this.#server?.close()
    this.#server = undefined
    await this.#ledger?.close()
    this.#lock.release()
  }

  /** Takes the lock where it is free, and sweeps. Undefined: somebody else patrols. */
  async tick(patienceMs = PATIENCE_MS): Promise<SweepSummary | undefined> {
    this.#isStopped = false
    this.#hasFailed = false
    try {
      // Its folder was removed: what it would write is nowhere, and another may patrol what is there now.
      if (this.#patrol && !this.#lock.isGood()) await this.#letGo()
      if (!this.#patrol && !(await this.#takeOver())) return undefined
      await this.#prune()
      const summary = await this.#patrol?.sweepOnce(patienceMs)
      const told = this.#webhook?.round(this.#clock.now())
      if (patienceMs === Infinity) await told
      return summary
    } catch (error) {
      if (this.#isStopped) return undefined
      this.#hasFailed = true
      this.#say(
        'AFS_PATROL_FAILED',
        `a sweep failed and is tried again: ${error instanceof Error ? error.message : String(error)}`,
      )
      if (this.#ledger?.isDamaged) {
        this.#patrol = undefined
        await this.#ledger.close()
      }
      return undefined
    }
  }

  async ask(path: string, query: URLSearchParams): Promise<Answer> {
    const patrol = this.#patrol
    const ledger = this.#ledger
    if (!patrol || !ledger) return { status: 503, body: { error: 'this process does not patrol' } }
    try {
      if (path === '/standing') return { status: 200, body: await this.#standing!.now(patrol.totals) }
      if (path === '/vote') return await castVote(ledger, query)
      return await answer(path, query, {
        ledger,
        now: () => this.#clock.now(),
        ...(this.#silenceMs === undefined ? {} : { silenceMs: this.#silenceMs }),
        processes: async (keys) => {
          await patrol.processes.find(keys, ledger)
          return patrol.processes
        },
        isStalled: (key) => patrol.isStalled(key),
      })
    } catch (error) {
      return { status: 503, body: { error: `the ledger does not answer: ${(error as Error).message}` } }
    }
  }

  async #takeOver(): Promise<boolean> {
    const now = this.#clock.monotonicMs()
    if (now - this.#lastLockTry < LOCK_MS) return false
    this.#lastLockTry = now
    const { dir, otlp, serviceName } = this.#settings
    if (this.#ledger && !existsSync(dir)) return false // removed: the next journal makes it again
    if (!this.#lock.tryTake()) return false
    // One for good: SQLite's lock is this process's, and a second one would find it taken.
    const ledger = (this.#ledger ??= this.#createLedger())
    const vantage = ownVantage(ownWorkerRef(serviceName).bootId)
    const isLocal = isLocalFolder(dir)
    const patrol = new Patrol({
      dir,
      ledger,
      clock: this.#clock,
      otlp,
      look: ({ worker }) => look(worker, vantage),
      // Only on one machine does a door prove anything: the kernel is what keeps it. Who ran under another boot id in a folder that
      // can be one kernel's alone was on a machine that had the volume before, or is in a container that is shown a boot id of its own.
      knock: async (row) => (isLocal || isOnSameKernel(row.worker, vantage) ? knock(dir, row.key) : 'unknown'),
      ...(this.#webhook ? { onIncidents: this.#webhook.add } : {}),
      ...(this.#tell ? { onProven: this.#tell } : {}),
      onExportFailure: ({ reason }) => {
        this.#say(
          'AFS_EXPORT_FAILED',
          `outcomes cannot be told: ${reason}. They wait in the ledger and are sent when the collector is back.`,
        )
      },
    })
    await patrol.open()
    // Before the first sweep: what that finds is news.
    this.#standing = await createStanding(ledger, this.#clock, this.#silenceMs)
    this.#patrol = patrol
    this.#server ??= await serveSocket(dir, (path, query) => this.ask(path, query))
    if (this.#isStopped) await this.#letGo()
    return !this.#isStopped
  }

  #createWebhook(url: string): Webhook {
    return createWebhook({
      url,
      onFailure: (reason) => {
        this.#say('AFS_REPORT_FAILED', `incidents could not be told to AFTERSPAN_WEBHOOK_URL: ${reason}.`)
      },
    })
  }

  get #silenceMs(): number | undefined {
    const { openDays } = this.#settings
    return openDays === undefined ? undefined : openDays * DAY_MS
  }

  /** How many incidents were told, and how many never will be; undefined where there is nobody to tell. */
  get reports(): Webhook['totals'] | undefined {
    return this.#webhook?.totals
  }

  #createLedger(): LedgerStore {
    const { dir, ledgerUrl } = this.#settings
    if (ledgerUrl) return createPostgresLedger({ url: ledgerUrl, folder: folderId(dir) })
    return createSqliteLedger(dir, (file) => {
      this.#say('AFS_LEDGER_FAILED', `the ledger was damaged; it is kept as ${file} and a new one is begun.`)
    })
  }

  async #prune(): Promise<void> {
    const now = this.#clock.monotonicMs()
    if (now - this.#lastPrune < (this.#ledger?.isShared ? PRUNE_SHARED_MS : PRUNE_MS)) return
    this.#lastPrune = now
    const { retentionDays, maxBytes } = this.#settings
    const before = (this.#clock.now() - retentionDays * DAY_MS) as EpochMs
    const silenceMs = this.#silenceMs
    const unheard = silenceMs === undefined ? {} : { unheardBefore: (before - silenceMs) as EpochMs }
    const limits = { before, ...unheard, maxBytes }
    for (;;) {
      const removed = (await this.#patrol?.prune(limits)) ?? 0
      if (removed < PRUNED_AT_ONCE) return
      if (this.#clock.monotonicMs() - now > PRUNING_MS) break
    }
    this.#lastPrune = -Infinity // the rest at the next sweeps: the dead are found in between
  }
}
