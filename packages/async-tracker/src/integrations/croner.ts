// croner: every run, by the clock or by trigger(), goes through Cron's own _trigger, which calls the function that the job was made with.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { Integration } from '@afterspan/core/internal'
import { runScheduled } from './running/scheduled-run.ts'

type Run = (this: unknown, ...args: unknown[]) => unknown
interface Cron {
  readonly name?: string
  fn?: Run
  getPattern(): string | undefined
  schedule(...args: unknown[]): unknown
  _trigger(...args: unknown[]): Promise<void>
}
interface Exports {
  readonly Cron: { readonly prototype: Cron }
}

const ours = new WeakSet<object>()

/** The integration of croner: each run is a task of its own. A run that its `catch` has caught has failed all the same. */
export const croner: Integration<Exports> = {
  name: 'croner',
  module: 'croner',
  versions: '>=9.0.0 <12',
  systems: ['croner'],
  patch({ Cron: { prototype } }, kit) {
    if (ours.has(prototype._trigger)) return
    kit.wrap(
      prototype,
      '_trigger',
      (original) =>
        function (this: Cron, ...args) {
          const { fn } = this
          // Here, since a job gets its function late or never.
          if (typeof fn === 'function' && !ours.has(fn)) {
            const name = this.name ?? this.getPattern() ?? 'once'
            const followed: Run = function (...given) {
              return runScheduled(kit, 'croner', name, () => fn.apply(this, given))
            }
            ours.add(followed)
            // A job that its app has frozen keeps its function, and runs.
            Reflect.set(this, 'fn', followed)
          }
          return original.apply(this, args)
        },
    )
    // The clock must not carry the request that happened to make the job: what a run is rejected with comes by again as nobody's.
    kit.wrap(
      prototype,
      'schedule',
      (original) =>
        function (this: Cron, ...args) {
          return context.with(ROOT_CONTEXT, () => original.apply(this, args))
        },
    )
    ours.add(prototype._trigger)
  },
}
