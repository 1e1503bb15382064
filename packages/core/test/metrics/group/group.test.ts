import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { pollUntil, tempDir } from '@afterspan/testing'
import { afterEach, expect, test } from 'vitest'
import type { MetricFamily } from '../../../src/contracts/service.ts'
import { Group } from '../../../src/metrics/group/group.ts'
import { totalsOf } from '../../../src/metrics/group/join.ts'
import { leave, recallGone, remember } from '../../../src/metrics/group/memory.ts'
import { socketPath, type Place } from '../../../src/metrics/group/place.ts'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** A folder of a group that is only ours; short, since a socket's path is. */
function folder(): string {
  return join(tempDir('g'), 'x')
}
function placeOf(dir: string, pid: number, threadId = 0): Place {
  return { dir, id: `${pid}-${threadId}-aaaaaaaa`, pid, threadId }
}
const requests = (value: number): MetricFamily => ({
  name: 'requests',
  type: 'counter',
  help: 'H',
  samples: [{ labels: {}, value }],
})

/** A member that has counted `value`. */
async function memberAt(place: Place, value: number): Promise<Group> {
  const collect = async () => ({ families: [requests(value)], staleMs: 0, isComplete: true })
  const group = new Group({ place, collect })
  await group.join()
  ends.push(() => group.stop())
  return group
}

async function counted(group: Group): Promise<number> {
  const { families } = await group.gather()
  const [family] = families.filter(({ name }) => name === 'requests')
  return (family!.samples as readonly { value: number }[]).reduce((sum, { value }) => sum + value, 0)
}

test('whichever member is asked, the answer is that of all', async () => {
  const dir = folder()
  const [a, b] = [await memberAt(placeOf(dir, 1), 2), await memberAt(placeOf(dir, 2), 3)]
  expect([await counted(a), await counted(b)]).toEqual([5, 5])
})

test('a member that waited for the port had the metrics of the one that has it collected, each time', async () => {
  const dir = folder()
  const place = placeOf(dir, 1)
  let collections = 0
  const holder = new Group({
    place,
    collect: async () => ({ families: [requests(++collections)], staleMs: 0, isComplete: true }),
  })
  await holder.join()
  holder.holdPort()
  ends.push(() => holder.stop())
  const other = await memberAt(placeOf(dir, 2), 3)
  for (let i = 0; i < 3; i++) expect(await other.isPortHeld()).toBe(true)
  // What is asked for now comes behind those that only looked.
  expect(await counted(other)).toBe(1 + 3)
})

test('alone, a member tells its own families as they are', async () => {
  const group = await memberAt(placeOf(folder(), 1), 2)
  expect((await group.gather()).families).toEqual([requests(2)])
})

test('a member that dies leaves what was last seen of it, and its socket goes', async () => {
  const dir = folder()
  const a = await memberAt(placeOf(dir, 1), 2)
  const b = await memberAt(placeOf(dir, 2), 3)
  expect(await counted(a)).toBe(5)
  // As SIGKILL leaves it: a socket's file with nobody behind.
  b.stop()
  writeFileSync(socketPath(placeOf(dir, 2)), '')
  expect(await counted(a)).toBe(5)
  await pollUntil(async () => (await counted(a)) === 5 && !readdirSync(dir).includes('2-0-aaaaaaaa.sock'))
  expect(await counted(a)).toBe(5)
})

test('a member that goes in time leaves also what nobody has seen', async () => {
  const dir = folder()
  const a = await memberAt(placeOf(dir, 1), 2)
  const b = await memberAt(placeOf(dir, 2), 3)
  leave(placeOf(dir, 2), () => totalsOf([requests(4)]))
  b.stop()
  expect(await counted(a)).toBe(6)
})

test('the last one to go leaves nothing', async () => {
  const dir = folder()
  const a = await memberAt(placeOf(dir, 1), 2)
  leave(placeOf(dir, 1), () => totalsOf([requests(2)]))
  a.stop()
  expect(() => readdirSync(dir)).toThrow('ENOENT')
})

test('a member that does not answer counts with what was last seen of it', async () => {
  const dir = folder()
  const a = await memberAt(placeOf(dir, 1), 2)
  const hanging: Server = createServer(() => {}).listen(socketPath(placeOf(dir, 2)))
  ends.push(() => hanging.close())
  remember(placeOf(dir, 1), '2-0-aaaaaaaa', totalsOf([requests(3)]))
  expect(await counted(a)).toBe(5)
  const members = (await a.gather()).families.find(({ name }) => name === 'afterspan_metrics_members')
  expect(members?.samples.map((sample) => 'value' in sample && sample.value)).toEqual([1, 1])
})

test('the first one of a new run does not go on with the counters of the last', async () => {
  const dir = folder()
  const old = await memberAt(placeOf(dir, 1), 2)
  old.stop()
  remember(placeOf(dir, 1), '1-0-aaaaaaaa', totalsOf([requests(2)]))
  expect(await counted(await memberAt(placeOf(dir, 9), 1))).toBe(1)
})

test('an asker takes the answer of its own process from the thread that is the member', async () => {
  const dir = folder()
  await memberAt(placeOf(dir, 1), 2)
  await memberAt(placeOf(dir, 2), 3)
  const collect = async () => ({ families: [requests(100)], staleMs: 0, isComplete: true })
  expect(await counted(new Group({ place: placeOf(dir, 1), collect, onlyAsks: true }))).toBe(5)
})

test('members that came and went are folded into one file, and nothing is counted twice', async () => {
  const dir = folder()
  const place = placeOf(dir, 1)
  await memberAt(place, 0)
  for (let pid = 10; pid < 50; pid++) remember(place, `${pid}-0-aaaaaaaa`, totalsOf([requests(1)]))
  const sum = (): number =>
    recallGone(place, new Set([place.id]))
      .flat()
      .flatMap(({ samples }) => samples as readonly { value: number }[])
      .reduce((all, { value }) => all + value, 0)
  expect([sum(), sum(), sum()]).toEqual([40, 40, 40])
  expect(readdirSync(dir).filter((name) => name.endsWith('.seen'))).toEqual(['gone.seen'])
})

test('folders of groups of which nobody lives are removed, one in which somebody lives is not, nor what is no group’s', async () => {
  const root = tempDir('g')
  const [dead, living, others] = ['00000000dead', '0000000000a1', 'code'].map((name) => join(root, name))
  for (const dir of [dead!, living!, others!]) {
    mkdirSync(dir, { mode: 0o700 })
    writeFileSync(join(dir, 'holder'), 'x')
  }
  writeFileSync(socketPath(placeOf(dead!, 3)), '')
  await memberAt(placeOf(living!, 4), 1)
  const longAgo = new Date(Date.now() - 120_000)
  for (const path of [socketPath(placeOf(dead!, 3)), dead!, living!, others!]) utimesSync(path, longAgo, longAgo)
  await memberAt(placeOf(join(root, '0000000000f0'), 5), 1)
  expect(readdirSync(root).sort()).toEqual(['0000000000a1', '0000000000f0', 'code'])
})

test('a folder that others may write to is not used', async () => {
  const dir = tempDir('open')
  const { chmodSync } = await import('node:fs')
  chmodSync(dir, 0o777)
  const group = await memberAt(placeOf(dir, 1), 2)
  await memberAt(placeOf(dir, 2), 3)
  expect(await counted(group)).toBe(2)
})
