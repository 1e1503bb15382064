// node-schedule: every run, by the clock or by invoke(), goes through Job's own invoke. Its clock is one timer for all jobs, set by
// whoever was the last to schedule or to cancel one, and set anew as it runs out.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { Integration, TaskKit } from '@afterspan/core/internal'
import { runScheduled } from './running/scheduled-run.ts'

type Call = (this: any, ...args: any[]) => unknown
interface Job {
  readonly name: string
  readonly isOneTimeJob?: boolean
  invoke: Call
  schedule: Call
}
/** lib/Job.js has the first, lib/Invocation.js the others. */
interface Exports {
  readonly Job?: { readonly prototype: Job }
  scheduleInvocation?: Call
  scheduleNextRecurrence?: Call
  cancelInvocation?: Call
}

const ours = new WeakSet<object>()
/** What a job without a name was last scheduled by. */
const patterns = new WeakMap<Job, string>()

/** The integration of node-schedule: each run is a task of its own. What its job tells as 'error' has failed, whether or not somebody listens. */
export const nodeSchedule: Integration<Exports> = {
  name: 'node-schedule',
  module: 'node-schedule',
  files: ['lib/Invocation.js', 'lib/Job.js'],
  versions: '>=2.0.0 <3',
  systems: ['node-schedule'],
  patch(exports, kit) {
    // The clock must not carry the request that happened to set it.
    for (const method of ['scheduleInvocation', 'scheduleNextRecurrence', 'cancelInvocation'] as const)
      once(exports, method, kit, (original) => {
        return function (...args) {
          return context.with(ROOT_CONTEXT, () => original.apply(this, args))
        }
      })
    const prototype = exports.Job?.prototype
    if (!prototype) return
    once(prototype, 'invoke', kit, (original) => {
      return function (this: Job, ...args) {
        return runScheduled(kit, 'node-schedule', nameOf(this), () => original.apply(this, args))
      }
    })
    once(prototype, 'schedule', kit, (original) => {
      return function (this: Job, spec, ...more) {
        const pattern = patternOf(spec)
        if (pattern !== undefined) patterns.set(this, pattern)
        return original.call(this, spec, ...more)
      }
    })
  },
}

function once<K extends string>(
  target: { [name in K]?: Call },
  method: K,
  kit: TaskKit,
  replace: (original: Call) => Call,
): void {
  const before = target[method]
  if (typeof before !== 'function' || ours.has(before)) return
  kit.wrap(target as Record<K, Call>, method, replace)
  ours.add(target[method] as Call)
}

/** What the app called it. What the library calls a job without a name is another at each start: its pattern, then. */
function nameOf(job: Job): string {
  if (!/^<Anonymous Job \d+ /.test(job.name)) return job.name
  return job.isOneTimeJob ? 'once' : (patterns.get(job) ?? 'rule')
}

function patternOf(spec: unknown): string | undefined {
  const pattern = typeof spec === 'object' ? (spec as { readonly rule?: unknown } | null)?.rule : spec
  return typeof pattern === 'string' ? pattern : undefined
}
