// Bull, which @nestjs/bull stands on too. Jobs are made by Job.create and Job.createBulk and read by Job.fromJSON; every run goes through
// what setHandler has kept, a function or a file that a child process runs: docs/decisions/bull.md.
import type { Integration } from '@afterspan/core/internal'
import { createVanishing } from './redis-jobs/vanishing.ts'
import { patchReading, taskOfStored } from './bull/carrier.ts'
import { patchEmptying } from './bull/emptying.ts'
import { patchRunning } from './bull/running.ts'
import { patchCreate } from './bull/sending.ts'
import type { Bull } from './bull/shapes.ts'

const ours = new WeakSet<object>()

/** The integration of Bull. Repeatable jobs start a trace of their own: no single request asked for them. */
export const bull: Integration<Bull> = {
  name: 'bull',
  module: 'bull',
  versions: '>=4.0.0 <5',
  systems: ['bull'],
  patch(exports, kit) {
    if (ours.has(exports.Job.fromJSON)) return
    patchReading(exports, kit)
    patchCreate(exports, kit, createVanishing(kit, taskOfStored))
    patchRunning(exports, kit)
    patchEmptying(exports, kit)
    ours.add(exports.Job.fromJSON)
  },
}
