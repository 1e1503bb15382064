import { expect, test } from 'vitest'
import { createInstrumentationStatus } from '../../src/instrument/status.ts'

test('a hook that has its module in its name was shown as pg (pg (health))', () => {
  const status = createInstrumentationStatus()
  status.set('pg', 'pg', '8.23.1', 'active')
  status.set('pg (health)', 'pg', '8.23.1', 'active')
  status.set('pg', 'pg-pool', '3.14.0', 'active')
  expect(status.rows().map(({ module }) => module)).toEqual(['pg', 'pg (health)', 'pg-pool (pg)'])
})

test('what was only asked for gives way to what is known of it', () => {
  const status = createInstrumentationStatus()
  status.set('pg', 'pg', '', 'loaded_too_early')
  status.set('pg', 'pg', '8.23.1', 'active')
  expect(status.rows()).toEqual([{ module: 'pg', version: '8.23.1', state: 'active' }])
  expect(status.collect()[0]?.samples).toEqual([
    { labels: { module: 'pg', version: '8.23.1', state: 'active' }, value: 1 },
  ])
})
