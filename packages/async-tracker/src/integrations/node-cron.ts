// node-cron: schedule() and createTask() get the function that is run. They stand in the exports and once more in the default one. A file
// that runs in a child process is not seen.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { Integration, TaskKit } from '@afterspan/core/internal'
import { runScheduled } from './running/scheduled-run.ts'

type Run = (this: unknown, ...args: unknown[]) => unknown
type Make = (expression: unknown, run: unknown, options?: { readonly name?: unknown }, ...more: unknown[]) => unknown
interface Calls {
  schedule: Make
  createTask: Make
}
type Exports = Calls & { readonly default?: Calls; readonly nodeCron?: Calls }

const ours = new WeakSet<object>()

/** The integration of node-cron: each run is a task of its own. A run that was missed is none. */
export const nodeCron: Integration<Exports> = {
  name: 'node-cron',
  module: 'node-cron',
  versions: '>=4.3.0 <5',
  systems: ['node-cron'],
  patch(exports, kit) {
    for (const calls of [exports, exports.default, exports.nodeCron])
      if (calls && !ours.has(calls)) {
        ours.add(calls)
        for (const method of ['schedule', 'createTask'] as const) follow(calls, method, kit)
      }
  },
}

function follow(calls: Calls, method: keyof Calls, kit: TaskKit): void {
  if (ours.has(calls[method])) return
  kit.wrap(calls, method, (original) => (expression, run, options, ...more) => {
    const name = typeof options?.name === 'string' ? options.name : String(expression)
    const given = typeof run === 'function' ? followed(run as Run, name, kit) : run
    // The clock that it starts must not carry the request that happened to start it.
    return context.with(ROOT_CONTEXT, () => original(expression, given, options, ...more))
  })
  ours.add(calls[method])
}

function followed(run: Run, name: string, kit: TaskKit): Run {
  return function (...args) {
    return runScheduled(kit, 'node-cron', name, () => run.apply(this, args))
  }
}
