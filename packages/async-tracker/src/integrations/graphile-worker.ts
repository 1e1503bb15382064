// Graphile Worker (PostgreSQL). Everything is made by functions of its own files: addJob() by helpers.js, workers by worker.js. The
// carrier is one of a job's flags.
import type { Integration } from '@afterspan/core/internal'
import { withCarrier } from './graphile-worker/carrier.ts'
import { createRunning, patchWorker } from './graphile-worker/running.ts'
import { patchHelpers } from './graphile-worker/sending.ts'
import { patchUtils } from './graphile-worker/settling.ts'
import type { Exports, Patch } from './graphile-worker/shapes.ts'

const running = createRunning()
const ours = new WeakSet<object>()

/** The integration of Graphile Worker. Without `carriesInData` a job gets no flag, and a run is a task of its own that has the job's number. */
export const graphileWorker: Integration<Partial<Exports>> = {
  name: 'graphile-worker',
  module: 'graphile-worker',
  files: ['helpers', 'worker', 'workerUtils', 'main', 'cron', 'sql/failJobs'].map((file) => `dist/${file}.js`),
  // ES modules from 0.18 on.
  hasModules: true,
  versions: '>=0.17.2 <0.19',
  systems: ['graphile-worker'],
  patch(exports, kit) {
    if (ours.has(exports)) return
    ours.add(exports)
    const patch: Patch = { kit, put: kit.carriesInData === false ? null : withCarrier }
    patchHelpers(exports, patch)
    patchWorker(exports, patch, running)
    patchUtils(exports, patch)
  },
}
