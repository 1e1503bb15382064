// What the integration of cron leaves as it is, in the oldest and the newest version; its runs by the clock: test/schedules.test.ts.
import { expect, test } from 'vitest'
import { cron } from '../../src/integrations/cron.ts'
import { installed } from './installed.ts'
import { createRealKit } from './real-kit.ts'

const NEVER = '0 0 0 30 1 *'

test.for(['cron', 'cron-oldest'])(
  '%s: each run of a job’s callbacks is a task, and what it gives and throws is the app’s',
  async (library) => {
    const real = createRealKit()
    const { CronJob } = installed(library)
    cron.patch({ CronJob }, real.kit)
    const seen: unknown[] = []
    const job = new CronJob(NEVER, function (this: unknown) {
      seen.push(this === job)
    })
    job.addCallback('no function')
    await job.fireOnTick()
    expect(real.events.map(({ kind }) => kind)).toEqual(['started', 'succeeded'])
    expect(real.events[0]).toMatchObject({ description: { system: 'cron', destination: NEVER } })
    const error = new TypeError('no paper')
    const failing = CronJob.from({
      cronTime: NEVER,
      waitForCompletion: true,
      errorHandler: (thrown: unknown) => seen.push(thrown),
      onTick: async () => {
        throw error
      },
    })
    await failing.fireOnTick()
    expect(real.events.slice(2).map(({ kind }) => kind)).toEqual(['started', 'failed'])
    expect(seen).toEqual([true, error])
  },
)
