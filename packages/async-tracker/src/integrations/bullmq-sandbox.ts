// The child process or thread in which BullMQ runs a processor that is a file. Its attempt is told where the worker is; here the job is run
// in the attempt's context.
import { resumeAttempt, type Integration } from '@afterspan/core/internal'
import { storedCarrierOf } from './bullmq/carrier.ts'
import { takeAttempt } from './bullmq/sandbox.ts'
import type { ChildProcessorClass } from './bullmq/shapes.ts'

const ours = new WeakSet<object>()

/** The part of the integration of BullMQ that a sandboxed processor needs. It follows no messages: where the rest is switched off, spans that others make of them count. */
export const bullmqSandbox: Integration<{ readonly ChildProcessor?: ChildProcessorClass }> = {
  name: 'bullmq-sandbox',
  module: 'bullmq',
  files: ['cjs', 'esm'].map((format) => `dist/${format}/classes/child-processor.js`),
  hasModules: true,
  versions: '>=5.0.0 <7',
  patch({ ChildProcessor }, kit) {
    if (!ChildProcessor || ours.has(ChildProcessor)) return
    ours.add(ChildProcessor)
    kit.wrap(
      ChildProcessor.prototype,
      'start',
      (original) =>
        function (this: { readonly currentJobPromise?: unknown }, job, ...args) {
          const attempt = takeAttempt(job)
          const start = (): unknown => original.call(this, job, ...args)
          return resumeAttempt(storedCarrierOf(job), attempt, start, () => this.currentJobPromise)
        },
    )
  },
}
