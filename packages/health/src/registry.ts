import {
  globalState,
  type Clock,
  type EpochMs,
  type HealthChange,
  type HealthProbe,
  type HealthView,
  type ProbeResult,
  type ProbeStatus,
} from '@afterspan/core/internal'
import { DEFAULT_RULES, dampen, type Dampened, type DampeningRules } from './dampening.ts'
import { isOfTheDependency, policyOf, type SharedPolicies, type SharedPolicy } from './fleet.ts'
import type { HealthMetrics } from './metrics.ts'
import { safeResult } from './probe-result.ts'
import { withRefusal, type Refusal } from './refusals.ts'
import type { ProbeTask, Round, Scheduler } from './scheduler.ts'
import type { CheckState, HealthSnapshot } from './snapshot.ts'
import type { Turn } from './telling.ts'
import type { Timer } from './timer.ts'
import { allAnswered, effectiveStatus } from './verdict.ts'

/** A probe that was found rather than registered. */
export interface FoundProbe extends HealthProbe {
  /** True once its client was ended or collected: the probe then goes by itself. */
  isGone(): boolean
  /** Whether the client itself has shown since this was asked last that all is well: its driver's events tell more than the app's calls. */
  seesWell?(): boolean
}
const MOST_PROBES = 100
/** A process that came so far without a required probe has started. */
const STARTED_ANYWAY_MS = 10_000

interface Entry {
  readonly probe: HealthProbe
  readonly name: string
  readonly required: boolean
  readonly policy: SharedPolicy
  /** Its dependency's trouble is all instances'. */
  isOpen: boolean
  readonly rules: DampeningRules
  readonly groups: readonly string[]
  readonly madeAt: string | undefined
  dampened: Dampened | undefined
  /** The status that listeners know, since when, and what it rested on. */
  told: ProbeStatus | undefined
  toldAt: EpochMs | undefined
  toldCode: string | undefined
  /** What was told of it, while it is not well. */
  change: HealthChange | undefined
  /** The last result that was as bad as the status, which it explains. */
  evidence: ProbeResult | undefined
  last: ProbeResult | undefined
  lastPassAt: EpochMs | undefined
  at: EpochMs | undefined
  durationMs: number | undefined
  abandoned: number
  task: ProbeTask | undefined
  remove: () => void
}

interface Given {
  readonly clock: Clock
  readonly timer: Timer
  readonly scheduler: Pick<Scheduler, 'add' | 'hasten'>
  readonly metrics: () => HealthMetrics
  readonly settings: {
    readonly intervalMs: number
    readonly timeoutMs: number
    readonly optional: readonly string[]
    /** Whether the app's own use of a client may answer for it. */
    readonly passive?: boolean
    readonly shared: SharedPolicies
  }
  readonly publish: (snapshot: HealthSnapshot) => void
  /** Called once, when there is something to do. */
  readonly onFirst: () => void
  /** The status of a check has become another one. Returns what was told of it. */
  readonly onChange: (change: HealthChange, turn: Turn) => HealthChange
  /** Whether the app's own calls to this kind of server went well lately, all of them. */
  readonly isSeenWell: (component: string, withinMs: number) => boolean
  /** What this kind of server has refused to the app lately. */
  readonly refusal: (component: string) => Refusal | undefined
  /** Endpoints of the app that use this kind of server. */
  readonly endpoints: (component: string) => readonly string[]
  /** A probe was left out, and why. */
  readonly onRejected: (why: string) => void
}

/** All probes of this process, their states, and the snapshots that follow from them. Starts nothing before the first probe. */
export class Registry {
  readonly #given: Given
  readonly #entries = new Map<string, Entry>()
  readonly #byProbe = new Map<HealthProbe, Entry>()
  readonly #bornAt: number
  #metrics: HealthMetrics | undefined
  #isStarted = false
  #isDraining = false
  #isPublishing = false
  #lastPublishedAt = Number.NEGATIVE_INFINITY

  constructor(given: Given) {
    this.#given = given
    this.#bornAt = given.clock.monotonicMs()
  }

  /** Registers a probe and starts its rounds; the same object again is the same registration. Returns what ends it; harmless twice. */
  register(probe: HealthProbe | FoundProbe, madeAt?: string): () => void {
    const known = this.#byProbe.get(probe)
    if (known) return known.remove
    const isFull = this.#entries.size >= MOST_PROBES
    if (isFull || typeof probe?.check !== 'function') {
      this.#given.onRejected(isFull ? `there are ${MOST_PROBES} already` : 'it has no check function')
      return () => {}
    }
    if (!this.#metrics) this.#begin()
    const { settings } = this.#given
    const entry = newEntry(probe, this.#freeName(probe.name), madeAt, settings)
    this.#entries.set(entry.name, entry)
    this.#byProbe.set(probe, entry)
    const intervalMs = bounded(probe.intervalMs, 100, 3_600_000, settings.intervalMs)
    const task: ProbeTask = {
      component: componentOf(probe),
      intervalMs,
      timeoutMs: bounded(probe.timeoutMs, 10, 60_000, settings.timeoutMs),
      check: async (signal) => this.#withRefusal(probe, safeResult(await probe.check(signal))),
      isGone: () => 'isGone' in probe && probe.isGone(),
      onGone: () => entry.remove(),
      onRound: (round) => this.#take(entry, round),
      ...('isGone' in probe ? { seen: () => this.#seen(entry, probe, intervalMs) } : {}),
    }
    entry.task = task
    const stop = this.#given.scheduler.add(task)
    entry.remove = () => {
      if (this.#byProbe.get(probe) !== entry) return
      stop()
      this.#forget(entry)
    }
    this.#publishSoon()
    return entry.remove
  }

  snapshot(): HealthSnapshot {
    const { clock, settings } = this.#given
    const checks = [...this.#entries.values()].map((entry) => ({ ...stateOf(entry), ...this.#shownBy(entry) }))
    const isAnswered = allAnswered(checks)
    const hasRequired = checks.some((check) => check.required)
    // Once passed, the gate stays open. A process without required probes has started too, until one comes early in its life.
    if (hasRequired ? isAnswered : clock.monotonicMs() - this.#bornAt > STARTED_ANYWAY_MS) this.#isStarted = true
    return {
      at: clock.now(),
      everyMs: settings.intervalMs,
      started: this.#isStarted || isAnswered,
      checks,
      ...(this.#isDraining ? { draining: true } : {}),
    }
  }

  /** What the app's own requests say of a check that is not well. */
  #shownBy({ change, probe }: Entry): Pick<CheckState, 'endpoints' | 'evidence' | 'trace'> {
    if (!change) return {}
    const endpoints = this.#given.endpoints(componentOf(probe))
    return {
      ...(endpoints.length > 0 ? { endpoints } : {}),
      ...(change.evidence ? { evidence: change.evidence } : {}),
      ...(change.trace ? { trace: change.trace.traceId } : {}),
    }
  }

  /** What this instance sees of the checks on which all instances are asked. */
  view(): HealthView {
    const states = [...this.#entries.values()]
      .filter(({ policy, required }) => policy === 'quorum' && required)
      .map(stateOf)
    const isDown = (state: CheckState): boolean => state.status === 'fail' && isOfTheDependency(state)
    return {
      down: states.filter(isDown).map(({ name }) => name),
      up: states.filter(({ status }) => status === 'pass' || status === 'warn').map(({ name }) => name),
    }
  }

  /** These of them are down for most instances, the others are not. */
  share(names: ReadonlySet<string>): void {
    for (const entry of this.#entries.values()) {
      if (entry.policy !== 'quorum' || entry.isOpen === names.has(entry.name)) continue
      entry.isOpen = names.has(entry.name)
      this.#tellStatus(entry, { durationMs: entry.durationMs ?? 0, lastPassAt: entry.lastPassAt })
      this.#publishSoon()
    }
  }

  /** The app's own calls have met with trouble: a look at once, where nothing is known of it yet. */
  suspect(component: string): void {
    for (const { probe, task, dampened } of this.#entries.values())
      if (task?.component === component && 'isGone' in probe && dampened?.status === 'pass')
        this.#given.scheduler.hasten(task)
  }

  /** A client that was found and is well needs no question while the app's own calls go well. With a second one of its kind nobody could say whose calls those are. */
  #seen(entry: Entry, probe: FoundProbe, intervalMs: number): ProbeResult | undefined {
    if (entry.dampened?.status !== 'pass' || entry.last?.status !== 'pass') return undefined
    if (!this.#isSeenWell(probe, intervalMs) || this.#given.refusal(componentOf(probe))) return undefined
    return { status: 'pass', ...(entry.last.observed ? { observed: entry.last.observed } : {}) }
  }

  #isSeenWell(probe: FoundProbe, withinMs: number): boolean {
    if (typeof probe.seesWell === 'function') return this.#given.settings.passive !== false && probe.seesWell()
    return this.#isAlone(probe) && this.#given.isSeenWell(componentOf(probe), withinMs)
  }

  #isAlone(probe: HealthProbe): boolean {
    const component = componentOf(probe)
    return [...this.#entries.values()].filter((other) => componentOf(other.probe) === component).length === 1
  }

  #withRefusal(probe: HealthProbe, result: ProbeResult): ProbeResult {
    if (!('isGone' in probe)) return result
    return withRefusal(result, this.#given.refusal(componentOf(probe)), this.#isAlone(probe))
  }

  /** Told at once, not in the next turn of the loop: a handler of the app may keep this one busy. */
  drain(): void {
    this.#isDraining = true
    this.#publish()
  }

  #begin(): void {
    const { clock, settings } = this.#given
    this.#metrics = this.#given.metrics()
    // Between changes: a sign that the main thread is there to vouch for what it said.
    clock.every(settings.intervalMs, async () => {
      if (clock.monotonicMs() - this.#lastPublishedAt >= settings.intervalMs / 2) this.#publish()
    })
    this.#given.onFirst()
  }

  /** A name that can stand in a path and a label; taken ones get -2, -3 … */
  #freeName(wanted: unknown): string {
    const text = typeof wanted === 'string' ? wanted : ''
    const base = text.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 60) || 'probe'
    let name = base
    for (let n = 2; this.#entries.has(name); n++) name = `${base}-${n}`
    return name
  }

  #take(entry: Entry, { result, durationMs, kind }: Round): 'calm' | 'suspicious' {
    const turn = { durationMs, lastPassAt: entry.lastPassAt }
    entry.at = this.#given.clock.now()
    entry.dampened = dampen(entry.dampened, result.status, entry.at, entry.rules)
    entry.last = result
    if (kind !== 'seen') entry.durationMs = durationMs
    if (result.status === 'pass') entry.lastPassAt = entry.at
    if (explains(result.status, entry.dampened.status)) entry.evidence = result
    if (kind === 'abandoned') {
      entry.abandoned++
      this.#metrics?.abandoned(entry.name)
    }
    if (kind !== 'hanging' && kind !== 'seen') this.#metrics?.duration(entry.name, durationMs)
    this.#tellStatus(entry, turn)
    this.#publishSoon()
    return result.status === 'fail' || entry.dampened.status !== result.status ? 'suspicious' : 'calm'
  }

  #tellStatus(entry: Entry, turn: Turn): void {
    const state = stateOf(entry)
    const to = effectiveStatus(state)
    if (!to) return
    this.#metrics?.status(entry.name, to)
    const { told: from, toldAt: since, toldCode: previousCode } = entry
    if (to === from) return
    const at = this.#given.clock.now()
    entry.told = to
    entry.toldAt = at
    entry.toldCode = state.code
    if (to === (from ?? 'pass')) return
    const { name, component, required, code, reason, cause, observed, madeAt } = state
    const change = this.#given.onChange(
      {
        name,
        component,
        required,
        to,
        at,
        ...(from ? { from } : {}),
        ...(since === undefined ? {} : { since }),
        ...(code === undefined ? {} : { code }),
        ...(reason === undefined ? {} : { reason }),
        ...(previousCode === undefined ? {} : { previousCode }),
        ...(cause === undefined ? {} : { cause }),
        ...(observed ? { observed } : {}),
        ...(madeAt === undefined ? {} : { madeAt }),
      },
      turn,
    )
    entry.change = to === 'pass' ? undefined : change
  }

  #forget(entry: Entry): void {
    this.#byProbe.delete(entry.probe)
    this.#entries.delete(entry.name)
    this.#metrics?.forget(entry.name)
    this.#publishSoon()
  }

  /** What changes in one turn of the loop goes out as one snapshot. */
  #publishSoon(): void {
    if (this.#isPublishing) return
    this.#isPublishing = true
    this.#given.timer.after(0, () => this.#publish())
  }

  #publish(): void {
    this.#isPublishing = false
    this.#lastPublishedAt = this.#given.clock.monotonicMs()
    this.#given.publish(this.snapshot())
  }
}

function newEntry(
  probe: HealthProbe,
  name: string,
  madeAt: string | undefined,
  { optional, shared }: Given['settings'],
): Entry {
  const policy = policyOf(shared, name, componentOf(probe))
  return {
    probe,
    name,
    madeAt,
    policy,
    isOpen: policy === 'open',
    groups: Array.isArray(probe.groups) ? probe.groups.filter((group) => typeof group === 'string').slice(0, 20) : [],
    required: probe.criticality !== 'optional' && !optional.includes(name),
    rules: {
      ...DEFAULT_RULES,
      rise: bounded(probe.rise, 1, 100, DEFAULT_RULES.rise),
      fall: bounded(probe.fall, 1, 100, DEFAULT_RULES.fall),
    },
    dampened: undefined,
    told: undefined,
    toldAt: undefined,
    toldCode: undefined,
    change: undefined,
    evidence: undefined,
    last: undefined,
    lastPassAt: undefined,
    at: undefined,
    durationMs: undefined,
    abandoned: 0,
    task: undefined,
    remove: () => {},
  }
}

/** A single bad result that dampening has held back explains nothing yet; a fail that made a warn does. */
function explains(result: ProbeStatus, status: ProbeStatus): boolean {
  return status === 'pass' ? result === 'pass' : result === 'fail' || result === status
}

function stateOf(entry: Entry): CheckState {
  const { dampened, evidence, last } = entry
  return {
    name: entry.name,
    component: componentOf(entry.probe),
    required: entry.required,
    ...(entry.isOpen ? { isOpen: true } : {}),
    abandoned: entry.abandoned,
    ...groupsOf(entry),
    ...(dampened ? { status: dampened.status, since: dampened.since } : {}),
    ...(evidence?.code === undefined ? {} : { code: evidence.code }),
    ...(evidence?.reason === undefined ? {} : { reason: evidence.reason }),
    ...(evidence?.cause === undefined ? {} : { cause: evidence.cause }),
    ...(last?.observed ? { observed: last.observed } : {}),
    ...(entry.durationMs === undefined ? {} : { durationMs: entry.durationMs }),
    ...(entry.at === undefined ? {} : { at: entry.at }),
    ...(entry.lastPassAt === undefined ? {} : { lastPassAt: entry.lastPassAt }),
    ...(entry.madeAt === undefined ? {} : { madeAt: entry.madeAt }),
  }
}

function componentOf({ component }: HealthProbe): string {
  return String(component ?? 'component').slice(0, 40)
}

/** What the probe says itself, and what health.group() says of its name. */
function groupsOf({ name, groups }: Entry): { groups?: readonly string[] } {
  const named = [...(globalState().healthGroups ?? [])].filter(([, names]) => names.has(name)).map(([group]) => group)
  const all = named.length > 0 ? [...new Set([...groups, ...named])] : groups
  return all.length > 0 ? { groups: all } : {}
}

function bounded(given: number | undefined, min: number, max: number, fallback: number): number {
  return typeof given === 'number' && Number.isFinite(given) ? Math.min(max, Math.max(min, given)) : fallback
}
