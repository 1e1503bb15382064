// What the integration of node-schedule leaves as it is, in the oldest and the newest version; its runs by the clock: test/schedules.test.ts.
import { context, trace } from '@opentelemetry/api'
import { describe, expect, test } from 'vitest'
import { nodeSchedule } from '../../src/integrations/node-schedule.ts'
import { installed } from './installed.ts'
import { createRealKit } from './real-kit.ts'

const NEVER = '0 0 30 1 *'
const real = createRealKit()

describe.each(['node-schedule', 'node-schedule-oldest'])('%s', (library) => {
  // As the hook of modules has it: a file is patched before its package goes on to load.
  for (const file of nodeSchedule.files!) nodeSchedule.patch(installed(library, file), real.kit)
  const { Job, scheduleJob } = installed(library)

  test('a run by invoke() is a task, and what it gets, gives and throws is the app’s', async () => {
    real.clear()
    const seen: unknown[] = []
    const job = new Job('paper', function (this: unknown, ...args: unknown[]) {
      seen.push(this === job, ...args)
      return 7
    })
    expect(job.invoke('now')).toBe(7)
    expect(seen).toEqual([true, 'now'])
    expect(real.events.map(({ kind }) => kind)).toEqual(['started', 'succeeded'])
    expect(real.events[0]).toMatchObject({ description: { system: 'node-schedule', destination: 'paper' } })
    real.clear()
    const error = new TypeError('no paper')
    const sync = new Job('sync', () => {
      throw error
    })
    expect(() => sync.invoke()).toThrow(error)
    await expect(new Job('later', () => Promise.reject(error)).invoke()).rejects.toBe(error)
    expect(real.events.map(({ kind }) => kind)).toEqual(['started', 'failed', 'started', 'failed'])
  })

  test('each run of a job without a name had a name of its own', () => {
    real.clear()
    const jobs = [NEVER, { rule: NEVER }, { month: 0, date: 30 }, new Date(Date.now() + 3_600_000)].map(
      (spec) => scheduleJob(spec, () => 1) as { invoke(): void; cancel(): void },
    )
    for (const job of jobs) {
      job.invoke()
      job.cancel()
    }
    const started = real.events.flatMap((event) => (event.kind === 'started' ? [event] : []))
    expect(started.map(({ description }) => description?.destination)).toEqual([NEVER, NEVER, 'rule', 'once'])
  })

  test('the clock carried the request in which a job was scheduled or cancelled', async () => {
    const first = scheduleJob(new Date(Date.now() + 3_600_000), () => {}) as { cancel(): void }
    const { promise, resolve } = Promise.withResolvers<unknown>()
    real.inRequest(() => {
      const job = new Job(
        'tick',
        () => {},
        () => resolve(trace.getSpan(context.active())),
      )
      job.schedule(new Date(Date.now() + 50))
      first.cancel()
    })
    expect(await promise).toBeUndefined()
  })

  test('a wrong argument gets the library’s own words', () => {
    expect(() => scheduleJob(null, () => {})).toThrow(/in/)
    expect(() => scheduleJob('* * * * *')).toThrow('Invalid number of arguments')
    expect(real.errors).toEqual([])
  })
})
