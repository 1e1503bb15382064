// cron, which @nestjs/schedule stands on too (its own runs are left to nest-schedule.ts): a job calls what addCallback() got, by the clock or by fireOnTick().
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { Integration } from '@afterspan/core/internal'
import { isFollowed } from './running/followed.ts'
import { runScheduled } from './running/scheduled-run.ts'

type Run = (this: unknown, ...args: unknown[]) => unknown
interface CronJob {
  readonly name?: unknown
  readonly cronTime?: { readonly source?: unknown }
  addCallback(callback: unknown, ...more: unknown[]): void
  start(...args: unknown[]): void
}
interface Exports {
  readonly CronJob: { readonly prototype: CronJob }
}

const ours = new WeakSet<object>()

/** The integration of cron: each run of a callback is a task of its own. What a callback catches itself is no failure. */
export const cron: Integration<Exports> = {
  name: 'cron',
  module: 'cron',
  versions: '>=4.0.0 <5',
  systems: ['cron'],
  patch({ CronJob: { prototype } }, kit) {
    if (ours.has(prototype)) return
    kit.wrap(
      prototype,
      'addCallback',
      (original) =>
        function (this: CronJob, callback, ...more) {
          if (typeof callback !== 'function' || isFollowed(callback)) return original.call(this, callback, ...more)
          const run = callback as Run
          const nameOf = (): string => nameOfJob(this)
          return original.call(
            this,
            function (this: unknown, ...args: unknown[]) {
              return runScheduled(kit, 'cron', nameOf(), () => run.apply(this, args))
            },
            ...more,
          )
        },
    )
    // The clock must not carry the request that happened to start it.
    kit.wrap(
      prototype,
      'start',
      (original) =>
        function (this: CronJob, ...args) {
          return context.with(ROOT_CONTEXT, () => original.apply(this, args))
        },
    )
    ours.add(prototype)
  },
}

/** What the app called it, or its pattern; a job for one date has neither. */
function nameOfJob({ name, cronTime }: CronJob): string {
  if (typeof name === 'string' && name) return name
  return typeof cronTime?.source === 'string' ? cronTime.source : 'once'
}
