import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { encodeRecord } from '../../src/journal/record.ts'
import { hasWork } from '../../src/patrol/work.ts'
import { opened, spawned, WEB, WORKER } from '../sample-events.ts'

const WHO = Buffer.from(encodeRecord(opened(WEB))!)
const PROMISE = Buffer.from(encodeRecord(spawned(1))!)

/** A ledger folder with these files. */
function folder(files: Readonly<Record<string, Buffer>>): string {
  const dir = tempDir('work')
  for (const [file, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, file)), { recursive: true })
    writeFileSync(join(dir, file), bytes)
  }
  return dir
}

const REQUESTS = {
  [`journal/${WEB}.000001.wal`]: WHO,
  [`flight/${WEB}.slots`]: Buffer.alloc(256, 1),
  [`spool/${WEB}.0.live`]: Buffer.alloc(99, 1),
}

test.each<[string, boolean, Readonly<Record<string, Buffer>>]>([
  ['nothing', false, {}],
  ['what the app itself has in flight', false, REQUESTS],
  ['the beginning of its journal', false, { [`journal/${WEB}.000001.wal`]: WHO.subarray(0, 7) }],
  ['what it has promised', true, { [`journal/${WEB}.000001.wal`]: Buffer.concat([WHO, PROMISE]) }],
  ['a journal that is not begun with a whole record', true, { [`journal/${WEB}.000001.wal`]: Buffer.alloc(999) }],
  ['spans that it has left to the patrol', true, { ...REQUESTS, [`spool/${WEB}.0.7.spans`]: PROMISE }],
  ['a ledger', true, { 'ledger.db': Buffer.alloc(0) }],
  ['the journal of another', true, { ...REQUESTS, [`journal/${WORKER}.000001.wal`]: WHO }],
  ['what another has in flight', true, { ...REQUESTS, [`flight/${WORKER}.slots`]: Buffer.alloc(256) }],
  ['what a thread of its own has in flight', true, { ...REQUESTS, [`flight/${WEB.replace(/0$/, '1')}.slots`]: WHO }],
  ['spans of another', true, { [`spool/${WORKER}.0.live`]: PROMISE }],
])('a folder with %s: is there work? %s', (_, expected, files) => {
  expect(hasWork(folder(files), WEB)).toBe(expected)
})

test('who patrols for others has work as soon as they write anything', () => {
  expect(hasWork(folder(REQUESTS))).toBe(true)
  expect(hasWork(folder({}))).toBe(false)
  expect(hasWork(join(tempDir('work'), 'none'))).toBe(false)
})
