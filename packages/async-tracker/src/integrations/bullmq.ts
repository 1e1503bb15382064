// BullMQ (Redis, and PostgreSQL from 6 on). Jobs are made by Job.create, Job.createBulk and FlowProducer; every run goes through
// Worker.callProcessJob, a function's as well as a sandboxed file's.
import type { Integration } from '@afterspan/core/internal'
import { taskOfStored } from './bullmq/carrier.ts'
import { patchEmptying } from './bullmq/emptying.ts'
import { patchRemove } from './bullmq/removing.ts'
import { patchWorker } from './bullmq/running.ts'
import { patchSandboxed } from './bullmq/sandbox.ts'
import { patchCreate, patchFlow } from './bullmq/sending.ts'
import type { BullMQ } from './bullmq/shapes.ts'
import { createVanishing } from './redis-jobs/vanishing.ts'

const ours = new WeakSet<object>()

/** The integration of BullMQ. Jobs of schedulers and repeatable jobs start a trace of their own: no single request asked for them. */
export const bullmq: Integration<BullMQ> = {
  name: 'bullmq',
  module: 'bullmq',
  versions: '>=5.0.0 <7',
  systems: ['bullmq'],
  patch(exports, kit) {
    const worker = exports.Worker.prototype
    // import and require may both bring it: there is one class.
    if (ours.has(worker.callProcessJob)) return
    const vanishing = createVanishing(kit, taskOfStored)
    patchCreate(exports, kit, vanishing)
    patchFlow(exports, kit, vanishing)
    patchWorker(exports, kit)
    patchSandboxed(exports, kit)
    patchRemove(exports, kit)
    patchEmptying(exports, kit)
    ours.add(worker.callProcessJob)
  },
}
