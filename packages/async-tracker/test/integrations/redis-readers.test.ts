import { expect, test, vi } from 'vitest'
import { Readers } from '../../src/integrations/redis-streams/readers.ts'
import type { Client } from '../../src/integrations/redis-streams/shapes.ts'

const client: Client = { sendCommand: () => undefined }

function readersThat(answers: (boolean | Error)[], clock = { now: 0 }): { readers: Readers; asked(): number } {
  const all = answers.length
  const hasGroup = async (): Promise<boolean> => {
    const answer = answers.shift()
    if (answer instanceof Error || answer === undefined) throw answer ?? new Error('asked too often')
    return answer
  }
  return { readers: new Readers({ hasGroup }, () => clock.now), asked: () => all - answers.length }
}

test('a stream with a group is asked about once', async () => {
  const { readers, asked } = readersThat([true])
  expect(readers.isLog(client, 'orders')).toBe(false)
  expect(await Promise.all([readers.hasGroup(client, 'orders'), readers.hasGroup(client, 'orders')])).toEqual([
    true,
    true,
  ])
  expect(await readers.hasGroup(client, 'orders')).toBe(true)
  expect(asked()).toBe(1)
})

test('a log is looked at again after a while, and is none once it has a group', async () => {
  const clock = { now: 0 }
  const { readers, asked } = readersThat([false, true], clock)
  expect(await readers.hasGroup(client, 'log')).toBe(false)
  clock.now = 4_000
  expect([readers.isLog(client, 'log'), asked()]).toEqual([true, 1])
  clock.now = 6_000
  expect(readers.isLog(client, 'log')).toBe(true)
  await Promise.resolve() // between the commands of a pipeline nothing is asked
  expect([readers.isLog(client, 'log'), asked()]).toEqual([true, 2])
  await readers.hasGroup(client, 'log')
  expect(readers.isLog(client, 'log')).toBe(false)
})

test('where Redis does not say, what is added is followed', async () => {
  const { readers } = readersThat([new Error('NOPERM')])
  expect(await readers.hasGroup(client, 'orders')).toBe(true)
  expect(readers.isLog(client, 'orders')).toBe(false)
})

test('a log was a queue for ever where Redis had been away when it was looked at again', async () => {
  const clock = { now: 0 }
  const { readers, asked } = readersThat([false, new Error('Connection is closed.'), false], clock)
  expect(await readers.hasGroup(client, 'log')).toBe(false)
  for (const [now, times] of [
    [6_000, 2],
    [12_000, 3],
  ] as const) {
    clock.now = now
    expect(readers.isLog(client, 'log')).toBe(true)
    await vi.waitFor(() => expect(asked()).toBe(times))
    expect(readers.isLog(client, 'log')).toBe(true)
  }
})

test('where Redis does not say it is asked now and then, and not with each entry', async () => {
  const clock = { now: 0 }
  const { readers, asked } = readersThat([new Error('NOPERM'), false], clock)
  for (let n = 0; n < 3; n++) expect(await readers.hasGroup(client, 'log')).toBe(true)
  expect(asked()).toBe(1)
  clock.now = 6_000
  expect(await readers.hasGroup(client, 'log')).toBe(false)
  expect(asked()).toBe(2)
})

test('streams without end take no room without end', async () => {
  const { readers } = readersThat(Array.from({ length: 1_002 }, () => false))
  for (let n = 0; n < 1_001; n++) await readers.hasGroup(client, `s${n}`)
  expect(readers.isLog(client, 's0')).toBe(false)
  expect(readers.isLog(client, 's1')).toBe(true)
})
