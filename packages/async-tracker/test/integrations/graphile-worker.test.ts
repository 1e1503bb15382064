// What the integration of Graphile Worker asks of the kit, by stand-ins for the library's own functions; the real ones: test/graphile-worker.test.ts.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { graphileWorker } from '../../src/integrations/graphile-worker.ts'
import type { Exports, Job, JobHelpers, Spec, Task } from '../../src/integrations/graphile-worker/shapes.ts'
import { createFakeKit } from './fake-kit.ts'

const fake = createFakeKit()
const { runs, sent, settled } = fake
beforeEach(fake.clear)
afterEach(() => {
  if (fake.errors.length > 0) throw new AggregateError(fake.errors)
})

const settings = { escapedWorkerSchema: 'graphile_worker' }
function row(spec: Spec | null | undefined, more: Partial<Job> = {}): Job {
  const flags = spec?.flags && Object.fromEntries(spec.flags.map((flag) => [flag, true]))
  return { id: '7', payload: {}, flags, attempts: 1, max_attempts: 2, revision: 0, task_identifier: 'mail', ...more }
}
/** addJob() of a library whose table is `add`, and the specification that reached it. */
function adding(add: (spec: Spec | null | undefined) => Job, carriesInData = true) {
  const exports: Partial<Exports> = { makeAddJob: () => async (_, __, spec) => add(spec) }
  graphileWorker.patch(exports, { ...fake.kit, carriesInData })
  return exports.makeAddJob!(settings, (use) => use({ query: async () => ({ rows: [] }) }))
}
/** Runs one job by a library that calls its task once, as a worker does. */
async function work(task: Task, job: Job): Promise<unknown> {
  const exports: Partial<Exports> = {
    makeNewWorker: async (_, { tasks, getJob }) => {
      const taken = (await getJob())!
      return tasks['mail']!(taken.payload, { job: taken } as JobHelpers)
    },
  }
  graphileWorker.patch(exports, fake.kit)
  return exports.makeNewWorker!({}, { tasks: { mail: task }, getJob: async () => job })
}

describe('adding', () => {
  test('the carrier is a flag beside those of the app, and nobody sees it', async () => {
    const own = Object.freeze({ flags: Object.freeze(['own']), priority: 3 })
    let given: Spec | null | undefined
    const job = await adding((spec) => row((given = spec)))('mail', { n: 1 }, own)
    expect(given).toEqual({ priority: 3, flags: ['own', `afterspan:{"traceparent":"${sent[0]!.traceparent}"}`] })
    expect(job.flags).toEqual({ own: true })
    expect(sent).toMatchObject([{ state: 'confirmed', messageId: '7', draft: { destination: 'mail' } }])
  })

  test('a job without flags of its own has none', async () => {
    expect((await adding(row)('mail')).flags).toBeNull()
  })

  test('where nothing may be carried the specification is the app’s own', async () => {
    const own = { priority: 3 }
    let given: unknown
    await adding((spec) => row((given = spec)), false)('mail', {}, own)
    expect(given).toBe(own)
    expect(sent).toMatchObject([{ state: 'confirmed' }])
  })

  test('a job that is kept under its key tells that the new one was not taken', async () => {
    const other = { flags: ['afterspan:{"traceparent":"other"}'] }
    await adding(() => row(other, { revision: 1 }))('mail', {}, { jobKey: 'k', jobKeyMode: 'unsafe_dedupe' })
    expect(sent).toMatchObject([{ state: 'deduplicated' }])
    expect(settled).toEqual([])
  })
})

describe('running', () => {
  const carried = { flags: ['afterspan:{"traceparent":"t"}'] }

  test('a task gets what the library gives it, in the attempt that its job names', async () => {
    const job = row(carried, { payload: { n: 1 } })
    const result = await work(async (payload, helpers) => [payload, helpers.job.flags], job)
    expect(result).toEqual([{ n: 1 }, null])
    await fake.until(() => runs[0]?.state === 'succeeded')
    expect(runs).toMatchObject([{ traceparent: 't', info: { attempt: 1, maxAttempts: 2, messageId: '7' } }])
  })

  test('a job that had failed for good, and is rescheduled, comes back', async () => {
    await work(async () => {}, row(carried, { attempts: 2 }))
    await fake.until(() => runs[0]?.state === 'succeeded')
    expect(runs[0]!.info).toMatchObject({ attempt: 2, isReturn: true })
  })

  test('a query that is given back instead of a promise is run once', async () => {
    let calls = 0
    // oxlint-disable-next-line unicorn/no-thenable -- a query builder is one
    const lazy = { then: (done: (value: unknown) => void) => done(++calls) }
    await work(() => lazy, row(carried))
    await fake.until(() => runs[0]?.state === 'succeeded')
    expect(calls).toBe(1)
  })

  test('one rejected promise of a batch fails the run, and the library gets all of them', async () => {
    const bad = Promise.reject(new Error('a bad one'))
    const result = await work(() => [Promise.resolve(), bad], row(carried, { payload: [{}, {}] }))
    expect(result).toHaveLength(2)
    await fake.until(() => runs[0]?.state === 'retrying')
    expect(runs[0]!.error).toMatchObject({ message: '1 of 2 failed: a bad one' })
  })

  test('a runner that shuts down gave up the job of another one, in another schema, with the same number', async () => {
    const exports: Partial<Exports> = {
      makeNewWorker: async (_, { tasks, getJob }) => {
        const taken = (await getJob())!
        void tasks['mail']!({}, { job: taken } as JobHelpers)
      },
      failJobs: async (_, __, ___, jobs) => jobs.map((job) => ({ ...job })),
    }
    graphileWorker.patch(exports, fake.kit)
    const [one, other] = [row(carried), row(carried)]
    for (const job of [one, other])
      await exports.makeNewWorker!({}, { tasks: { mail: () => new Promise(() => {}) }, getJob: async () => job })
    await exports.failJobs!(settings, {}, 'pool', [one], 'shutting down')
    await fake.until(() => runs.some(({ state }) => state === 'retrying'))
    expect(runs.map(({ state }) => state)).toEqual(['retrying', 'running'])
    expect(runs[0]!.error).toMatchObject({ message: 'shutting down' })
  })

  test('no job ran where the app had frozen its list of tasks', async () => {
    const exports: Partial<Exports> = {
      makeNewWorker: async (_, { tasks }) => [
        Object.keys(tasks),
        'mail' in tasks,
        { ...tasks },
        await tasks['mail']!('payload', { job: row(carried) } as JobHelpers),
      ],
    }
    graphileWorker.patch(exports, fake.kit)
    const tasks = Object.freeze({ mail: async (payload: unknown) => payload })
    expect(await exports.makeNewWorker!({}, { tasks, getJob: async () => row(carried) })).toEqual([
      ['mail'],
      true,
      { mail: expect.any(Function) },
      'payload',
    ])
    await fake.until(() => runs[0]?.state === 'succeeded')
  })

  test('what a task throws at once reaches the library', async () => {
    const failing = (): never => {
      throw new TypeError('no')
    }
    await expect(work(failing, row(carried, { attempts: 2 }))).rejects.toThrow('no')
    expect(runs).toMatchObject([{ state: 'failed' }])
  })
})
