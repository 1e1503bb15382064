import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { createDoor, knock, listDoors, removeDoor } from '../src/door.ts'
import { tempDir } from '../../testing/src/temp-dir.ts'
import { holdDoor } from './door-holder.ts'

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function holder(dir: string, key: string): Promise<ChildProcess> {
  const child = await holdDoor(dir, key)
  children.push(child)
  return child
}

describe('a door', () => {
  test('is held while its process lives, and shut once it was killed', async () => {
    const dir = tempDir('door')
    const child = await holder(dir, 'a.0')
    expect(await knock(dir, 'a.0')).toBe('held')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await knock(dir, 'a.0')).toBe('shut')
  })
  test('of a stopped process stays held, however often one knocks', async () => {
    const dir = tempDir('door')
    const child = await holder(dir, 'a.0')
    child.kill('SIGSTOP')
    for (let n = 0; n < 600; n++) expect([n, await knock(dir, 'a.0')]).toEqual([n, 'held'])
    child.kill('SIGCONT')
    expect(await knock(dir, 'a.0')).toBe('held')
  })
  test('that never was proves nothing', async () => {
    const dir = tempDir('door')
    expect(await knock(dir, 'a.0')).toBe('none')
    expect(listDoors(dir)).toEqual([])
  })
  test('that somebody has taken away is made again by who holds it', async () => {
    const dir = tempDir('door')
    const hold = createDoor(dir, 'a.0')
    hold()
    rmSync(join(dir, 'doors'), { recursive: true })
    expect(await knock(dir, 'a.0')).toBe('none')
    hold()
    expect(await knock(dir, 'a.0')).toBe('held')
  })
  test.each(['short', 'a-folder-whose-name-alone-is-longer-than-what-the-kernel-takes-for-a-socket/'.repeat(3)])(
    'can be in a folder with a %s path',
    async (name) => {
      const dir = join(tempDir('door'), name)
      mkdirSync(dir, { recursive: true })
      const hold = createDoor(dir, 'a.0')
      hold()
      hold() // again: nothing happens
      expect(await knock(dir, 'a.0')).toBe('held')
      expect(listDoors(dir)).toEqual(['a.0'])
      removeDoor(dir, 'a.0')
      removeDoor(dir, 'a.0')
      expect(await knock(dir, 'a.0')).toBe('none')
    },
  )
  test('that cannot be made is none', async () => {
    const dir = tempDir('door')
    mkdirSync(join(dir, 'doors', 'a.0'), { recursive: true })
    createDoor(dir, 'a.0')()
    expect(await knock(dir, 'a.0')).toBe('unknown') // something else is there: no proof
    createDoor('/proc/nowhere', 'a.0')()
    expect(await knock('/proc/nowhere', 'a.0')).toBe('none')
  })
})
