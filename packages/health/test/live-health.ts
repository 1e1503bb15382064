import { createMetricRegistry, type EpochMs } from '@afterspan/core/internal'
import { onError } from './fake-time.ts'
import { createHealthMetrics } from '../src/metrics.ts'
import { Registry } from '../src/registry.ts'
import { Scheduler } from '../src/scheduler.ts'
import type { CheckState, HealthSnapshot } from '../src/snapshot.ts'
import { nodeTimer } from '../src/timer.ts'

export interface LiveHealth {
  readonly registry: Registry
  /** The first snapshot, from now on, in which the check is so; rejects at the deadline with what it last was. */
  until(
    name: string,
    is: (check: CheckState | undefined) => boolean,
    timeoutMs?: number,
  ): Promise<CheckState | undefined>
  /** A new result of the check, whatever it is. */
  nextRound(name: string, timeoutMs?: number): Promise<CheckState | undefined>
}

/** The engine as the main thread runs it, in real time, its snapshots awaited instead of posted. */
export function liveHealth(settings: { readonly intervalMs?: number; readonly timeoutMs?: number } = {}): LiveHealth {
  const listeners = new Set<(snapshot: HealthSnapshot) => void>()
  const clock = {
    now: () => Date.now() as EpochMs,
    monotonicMs: () => performance.now(),
    every: (ms: number, tick: () => Promise<void>) => {
      const timer = setInterval(() => void tick(), ms).unref()
      return () => clearInterval(timer)
    },
  }
  const timer = nodeTimer((fn) => fn(), onError)
  const registry = new Registry({
    clock,
    timer,
    scheduler: new Scheduler({ clock, timer, onError, isolate: (fn) => fn() }),
    metrics: () => createHealthMetrics(createMetricRegistry()),
    settings: { intervalMs: 2000, timeoutMs: 1500, optional: [], shared: { others: 'closed', named: {} }, ...settings },
    publish: (snapshot) => {
      for (const listen of listeners) listen(snapshot)
    },
    onFirst: () => {},
    onChange: (change) => change,
    isSeenWell: () => false,
    refusal: () => undefined,
    endpoints: () => [],
    onRejected: () => {},
  })
  const until: LiveHealth['until'] = (name, is, timeoutMs = 10_000) =>
    new Promise((resolve, reject) => {
      let last: CheckState | undefined
      const listen = (snapshot: HealthSnapshot): void => {
        last = snapshot.checks.find((check) => check.name === name)
        if (is(last)) done(() => resolve(last))
      }
      const done = (then: () => void): void => {
        listeners.delete(listen)
        clearTimeout(deadline)
        then()
      }
      const deadline = setTimeout(() => {
        done(() => reject(new Error(`${name} was not so within ${timeoutMs} ms, but ${JSON.stringify(last)}`)))
      }, timeoutMs)
      listeners.add(listen)
      listen(registry.snapshot())
    })
  return {
    registry,
    until,
    nextRound(name, timeoutMs) {
      const before = registry.snapshot().checks.find((check) => check.name === name)?.at
      return until(name, (check) => check?.at !== undefined && check.at !== before, timeoutMs)
    },
  }
}
