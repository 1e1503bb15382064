import { openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import { interleaved, median, spread } from './statistics.mjs'
import { tempDir } from './temp-dir.mjs'

const { JournalWriter } = createRequire(import.meta.url)('@afterspan/async-tracker/internal')
const EVENTS = 20_000

/** One task event on the app's thread, through the writer that the recorder uses, against a bare writeSync of as many bytes. */
export async function benchJournal(rounds) {
  const results = await interleaved(['bare', 'journal'], rounds, (name) => {
    const dir = tempDir('journal')
    try {
      return name === 'bare' ? bare(dir) : journal(dir)
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })
  const ratios = results.journal.map((r, i) => r.us / results.bare[i].us)
  return {
    rows: ['bare', 'journal'].map((name) => ({
      writer: name,
      'µs/event': spread(
        results[name].map((r) => r.us),
        2,
      ),
      'bytes/event': Math.round(median(results[name].map((r) => r.bytes))),
    })),
    figures: { journalEventUs: median(results.journal.map((r) => r.us)), journalOfBareWrite: median(ratios) },
  }
}

let bytesPerEvent = 200

function bare(dir) {
  const fd = openSync(join(dir, 'bare'), 'a', 0o600)
  const buffer = Buffer.alloc(bytesPerEvent, 120)
  const from = performance.now()
  for (let i = 0; i < EVENTS; i++) writeSync(fd, buffer)
  return { us: ((performance.now() - from) * 1000) / EVENTS, bytes: bytesPerEvent }
}

function journal(dir) {
  const opened = () => ({ kind: 'exiting', at: 1763900000000, code: 0 })
  const writer = new JournalWriter({
    dir,
    key: '0123456789abcdef.0',
    opened,
    onTrouble: (error) => {
      throw error
    },
  })
  const event = (i) => ({
    kind: 'started',
    taskId: `4bf92f3577b34da6a3ce929d0e0e4736${(0x1000000000 + i).toString(16).padStart(16, '0')}`,
    at: 1763900000000 + i,
    attempt: 1,
    spanId: '00f067aa0ba902b7',
    maxAttempts: 3,
    messageId: 'f3b0c442-98fc-1c14-9afb-4c8996fb9242',
  })
  writer.append(event(0))
  const from = performance.now()
  for (let i = 0; i < EVENTS; i++) writer.append(event(i))
  const us = ((performance.now() - from) * 1000) / EVENTS
  writer.close()
  const bytes = size(dir) / (EVENTS + 1)
  bytesPerEvent = Math.round(bytes)
  return { us, bytes }
}

function size(dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile())
    .reduce((sum, f) => sum + statSync(join(f.parentPath, f.name)).size, 0)
}
