// @nestjs/schedule: what @Cron, @Interval and @Timeout run goes through one function, which catches what it throws and logs it. The jobs of
// @Cron are cron's, whose integration would take each run for one that went well.
import type { Integration } from '@afterspan/core/internal'
import { markFollowed } from './running/followed.ts'
import { runCaught } from './running/caught-run.ts'
import { runScheduled } from './running/scheduled-run.ts'

type Run = (this: unknown, ...args: unknown[]) => unknown
interface Explorer {
  readonly metadataAccessor?: { getSchedulerName(run: Run): unknown }
  wrapFunctionInTryCatchBlocks(run: Run, instance: object, ...more: unknown[]): Run
}
interface Exports {
  readonly ScheduleExplorer?: { readonly prototype: Explorer }
}

const ours = new WeakSet<object>()

/** The integration of @nestjs/schedule: each run is a task of its own, called as the app has called it, or `Class.method`. */
export const nestSchedule: Integration<Exports> = {
  name: 'nest-schedule',
  module: '@nestjs/schedule',
  files: ['dist/schedule.explorer.js'],
  hasModules: true,
  versions: '>=4.0.0 <13',
  systems: ['@nestjs/schedule'],
  patch({ ScheduleExplorer }, kit) {
    const prototype = ScheduleExplorer?.prototype
    if (!prototype || ours.has(prototype)) return
    kit.wrap(
      prototype,
      'wrapFunctionInTryCatchBlocks',
      (original) =>
        function (this: Explorer, run, instance, ...more) {
          if (typeof run !== 'function') return original.call(this, run, instance, ...more)
          const name = nameOf(this.metadataAccessor?.getSchedulerName(run), run, instance)
          const followed: Run = function (...args) {
            return runCaught(
              (handle) => runScheduled(kit, '@nestjs/schedule', name, handle),
              () => run.apply(this, args),
            )
          }
          return markFollowed(original.call(this, followed, instance, ...more))
        },
    )
    ours.add(prototype)
  },
}

function nameOf(given: unknown, { name }: Run, instance: object): string {
  if (typeof given === 'string' && given) return given
  return [instance.constructor?.name, name].filter(Boolean).join('.') || 'run'
}
