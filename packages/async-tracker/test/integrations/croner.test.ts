// What the integration of croner leaves as it is; its runs by the clock: test/schedules.test.ts.
import { expect, test } from 'vitest'
import { croner } from '../../src/integrations/croner.ts'
import { installed } from './installed.ts'
import { createRealKit } from './real-kit.ts'

const real = createRealKit()
const { Cron } = installed('croner')
croner.patch({ Cron }, real.kit)

test('a job that its app had frozen did not run', async () => {
  const runs: string[] = []
  const run = (): void => void runs.push('ran')
  const [job, frozen] = [new Cron('0 0 1 1 *', { paused: true }, run), new Cron('0 0 1 1 *', { paused: true }, run)]
  await job.trigger()
  expect(real.events.map(({ kind }) => kind)).toEqual(['started', 'succeeded'])
  await Object.freeze(frozen).trigger()
  expect(runs).toEqual(['ran', 'ran'])
  for (const one of [job, frozen]) one.stop()
})
