// What the app says of jobs that nobody runs: completeJobs() removes them, permanentlyFailJobs() keeps them from being run.
import { taskOf } from '../sending/bag.ts'
import { takeCarrier } from './carrier.ts'
import type { Exports, Patch, Utils } from './shapes.ts'

export function patchUtils(exports: Partial<Exports>, { kit }: Patch): void {
  kit.wrap(
    exports as Exports,
    'makeWorkerUtils',
    (original) =>
      (...args) =>
        original(...args).then((utils) => {
          for (const method of ['completeJobs', 'permanentlyFailJobs', 'rescheduleJobs'] as const)
            followRows(utils, method, kit)
          return utils
        }),
  )
}

/** Jobs that a worker has are left out by the database, and are not among the rows. */
function followRows(utils: Utils, method: keyof Utils, kit: Patch['kit']): void {
  kit.wrap(utils, method, (original) => async (ids, reason, ...more) => {
    const jobs = await original.call(utils, ids, reason, ...more)
    for (const job of jobs) {
      const taskId = taskOf(takeCarrier(job))
      if (!taskId) continue
      if (method === 'completeJobs') kit.settle(taskId, 'cancelled', 'aborted', 'broker')
      if (method === 'permanentlyFailJobs') {
        const message = typeof reason === 'string' ? reason : 'failed by the app'
        kit.settle(taskId, 'failed', 'dead_lettered', 'broker', { type: 'permanently_failed', message })
      }
    }
    return jobs
  })
}
