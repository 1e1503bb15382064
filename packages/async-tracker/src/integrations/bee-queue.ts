// bee-queue. Every job is saved by Job's own _save, one by one or in a batch, read by Job.fromData, written back by toData, and run by the
// handler that Queue.process has kept.
import type { Integration } from '@afterspan/core/internal'
import { patchStoring } from './bee-queue/carrier.ts'
import { patchRemoving } from './bee-queue/removing.ts'
import { patchRunning } from './bee-queue/running.ts'
import { patchSaving } from './bee-queue/sending.ts'
import type { JobClass, QueueClass } from './bee-queue/shapes.ts'

const ours = new WeakSet<object>()

/** The integration of bee-queue. The trace travels among the options of a job, where nobody sees it: docs/decisions/bull.md. */
export const beeQueue: Integration<JobClass | QueueClass> = {
  name: 'bee-queue',
  module: 'bee-queue',
  files: ['lib/job.js', 'lib/queue.js'],
  versions: '>=1.7.0 <3',
  systems: ['bee-queue'],
  patch(exports, kit) {
    const marker = 'fromData' in exports ? exports.fromData : exports.prototype.process
    if (ours.has(marker)) return
    if ('fromData' in exports) {
      patchStoring(exports, kit)
      patchSaving(exports, kit)
      ours.add(exports.fromData)
    } else {
      patchRunning(exports.prototype, kit)
      patchRemoving(exports.prototype, kit)
      ours.add(exports.prototype.process)
    }
  },
}
