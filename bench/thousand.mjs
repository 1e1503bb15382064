// One death among many processes: `node bench/thousand.mjs [--processes 1000]`. Each is a real one with a journal and open work; what a
// sweep over all of them costs, and how long the patrol takes to prove that one is dead.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { median } from './statistics.mjs'
import { tempDir } from './temp-dir.mjs'

const { JournalWriter, PatrolService, ownVantage, ownWorkerRef } = createRequire(import.meta.url)(
  '@afterspan/async-tracker/internal',
)
const { values } = parseArgs({ options: { processes: { type: 'string' } } })
const PROCESSES = Number(values.processes ?? 1_000)
const SWEEP_MS = 250
const dir = tempDir('thousand')
const own = ownWorkerRef('bench')
const vantage = ownVantage(own.bootId)
const pids = await startProcesses()
try {
  for (const [i, pid] of pids.entries()) writeJournal(i, pid)
  const clock = { now: () => Date.now(), monotonicMs: () => performance.now(), every: () => () => {} }
  const settings = { dir, otlp: undefined, serviceName: 'bench', retentionDays: 14, maxBytes: 1e12, ledgerUrl: '' }
  const service = new PatrolService(settings, clock, (_, message) => {
    throw new Error(message)
  })
  await service.tick()
  const cpuMs = []
  for (let i = 0; i < 20; i++) {
    const from = process.cpuUsage()
    await service.tick()
    const { user, system } = process.cpuUsage(from)
    cpuMs.push((user + system) / 1000)
  }
  const proofMs = []
  for (const pid of pids.slice(0, 10)) {
    process.kill(pid, 'SIGKILL')
    const from = performance.now()
    for (let isProven = false; !isProven;) {
      await new Promise((resolve) => setTimeout(resolve, SWEEP_MS))
      isProven = (await service.tick()).lost > 0
    }
    proofMs.push(performance.now() - from)
  }
  await service.stop()
  console.table([
    {
      processes: PROCESSES,
      'CPU of a sweep, ms': median(cpuMs).toFixed(1),
      'from a kill to its proof, ms': median(proofMs).toFixed(0),
      'at the most, ms': Math.max(...proofMs).toFixed(0),
    },
  ])
} finally {
  for (const pid of pids) end(pid)
}

async function startProcesses() {
  const shell = spawn('sh', ['-c', `for i in $(seq ${PROCESSES}); do sleep 600 >&2 & echo $!; done; echo; wait`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const found = []
  const lines = createInterface(shell.stdout)
  lines.on('line', (line) => (line ? found.push(Number(line)) : lines.close()))
  await once(lines, 'close')
  return found
}

function writeJournal(i, pid) {
  const nonce = (0xa000000000000000n + BigInt(i)).toString(16)
  const worker = { ...own, nonce, threadId: 0, pid, startTicks: vantage.processOf(pid).ticks }
  const writer = new JournalWriter({
    dir,
    key: `${nonce}.0`,
    opened: () => ({ kind: 'opened', at: Date.now(), worker, resource: {}, sdkVersion: '0' }),
    onTrouble(error) {
      throw error
    },
  })
  const taskId = (i + 1).toString(16).padStart(48, '0')
  const origin = { traceId: taskId.slice(0, 32), spanId: '1111111111111111', sampled: true }
  const at = Date.now()
  writer.append({ kind: 'spawned', taskId, at, system: 'bullmq', destination: 'mail', name: 'mail', origin })
  writer.append({ kind: 'started', taskId, at, attempt: 1, spanId: '2222222222222222' })
  writer.close()
}

function end(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it was one of the ten
  }
}
