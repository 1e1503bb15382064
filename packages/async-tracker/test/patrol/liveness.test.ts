import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { look, ownVantage, type Liveness, type Vantage } from '../../src/patrol/liveness.ts'
import { keyOf, ownWorkerRef, startTicks } from '../../src/worker-ref.ts'
import { pollUntil } from '../../../testing/src/signals.ts'
import { WORKER, workerRef } from '../sample-events.ts'

const worker = workerRef(WORKER)
const RUNNING = { ticks: worker.startTicks, state: 'S' }

/** The worker's own host, boot and namespaces; its pid runs. */
function vantage(more: Partial<Vantage> = {}): Vantage {
  const { hostId, bootId, pidNamespace, timeNamespace } = worker
  return {
    hostId,
    bootId,
    pidNamespace,
    timeNamespace,
    processOf: () => RUNNING,
    signal: () => 'there',
    ...more,
  }
}

describe('from where the worker can be seen', () => {
  test.for<[string, Partial<Vantage>, Liveness]>([
    ['it runs', {}, 'alive'],
    ['it sleeps on a disk', { processOf: () => ({ ...RUNNING, state: 'D' }) }, 'alive'],
    ['it belongs to somebody else', { signal: () => 'refused' }, 'alive'],
    ['it is stopped', { processOf: () => ({ ...RUNNING, state: 'T' }) }, 'stalled'],
    ['a debugger holds it', { processOf: () => ({ ...RUNNING, state: 't' }) }, 'stalled'],
    ['there is no such process', { signal: () => 'gone', processOf: () => undefined }, 'dead'],
    ['its parent has not taken its end', { processOf: () => ({ ...RUNNING, state: 'Z' }) }, 'dead'],
    ['it is being taken away', { processOf: () => ({ ...RUNNING, state: 'X' }) }, 'dead'],
    ['its pid is another process now', { processOf: () => ({ ticks: 8, state: 'S' }) }, 'dead'],
    [
      'its pid is another process, of somebody else',
      { signal: () => 'refused', processOf: () => ({ ticks: 8, state: 'S' }) },
      'dead',
    ],
    ['its pid is another process, which is stopped', { processOf: () => ({ ticks: 8, state: 'T' }) }, 'dead'],
    [
      'hidepid hides it: not listed, but not ours to signal',
      { signal: () => 'refused', processOf: () => undefined },
      'unknown',
    ],
    ['there is no /proc', { processOf: () => undefined }, 'unknown'],
    ['the host was started anew since', { bootId: 'later' }, 'dead'],
  ])('%s', ([, more, expected]) => {
    expect(look(worker, vantage(more))).toBe(expected)
  })

  test('a worker that could not read its own start time is told by its pid alone', () => {
    const blind = { ...worker, startTicks: 0 }
    expect(look(blind, vantage({ processOf: () => ({ ticks: 8, state: 'S' }) }))).toBe('alive')
    expect(look(blind, vantage({ signal: () => 'gone' }))).toBe('dead')
    expect(look(blind, vantage({ processOf: () => ({ ticks: 8, state: 'Z' }) }))).toBe('dead')
  })
})

describe('from where nothing can be said, whatever its pid looks like there', () => {
  const looksDead: Partial<Vantage> = { signal: () => 'gone', processOf: () => undefined }
  test.for<[string, Partial<Vantage>]>([
    ['another host', { hostId: 'other' }],
    ['another host, which was started at another time', { hostId: 'other', bootId: 'other' }],
    ['another PID namespace', { pidNamespace: 'pid:[2]' }],
    ['another time namespace, where start times differ', { timeNamespace: 'time:[2]' }],
    ['a place that cannot read its boot id', { bootId: '' }],
  ])('%s', ([, more]) => {
    expect(look(worker, vantage({ ...looksDead, ...more }))).toBe('unknown')
    expect(look(worker, vantage({ ...more, processOf: () => ({ ticks: 8, state: 'S' }) }))).toBe('unknown')
  })
  test('a worker that could not read its boot id', () => {
    expect(look({ ...worker, bootId: '' }, vantage(looksDead))).toBe('unknown')
  })
})

describe('real processes', () => {
  const own = ownWorkerRef('shop')
  const here = ownVantage(own.bootId)
  const children: ChildProcess[] = []
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })
  function start(command: string, ...args: string[]): ChildProcess {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    children.push(child)
    return child
  }
  function refOf(pid: number): typeof own {
    return { ...own, pid, startTicks: startTicks(pid)?.ticks ?? 0 }
  }
  function until(pid: number, expected: Liveness, ref = refOf(pid)): Promise<unknown> {
    return pollUntil(() => look(ref, here) === expected, { what: `${pid} to be ${expected}`, intervalMs: 5 })
  }

  test('this one is alive, under a name that it alone has', () => {
    expect(look(own, here)).toBe('alive')
    expect(own).toMatchObject({ pid: process.pid, service: 'shop', nonce: expect.stringMatching(/^[0-9a-f]{16}$/) })
    expect(keyOf(own)).toMatch(/^[0-9a-f]{16}\.\d+$/)
    expect(ownWorkerRef('shop').nonce).not.toBe(own.nonce)
  })

  test('one that is stopped is stalled, goes on, and is dead when it is killed', async () => {
    const child = start('sleep', '60')
    const ref = refOf(child.pid!)
    expect(ref.startTicks).toBeGreaterThan(0)
    expect(look(ref, here)).toBe('alive')
    child.kill('SIGSTOP')
    await until(child.pid!, 'stalled')
    child.kill('SIGCONT')
    await until(child.pid!, 'alive')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(look(ref, here)).toBe('dead')
  })

  test('a zombie answers signals, and is dead', async () => {
    // exec leaves nobody to take the end of the first sleep. Before it the shell would.
    const parent = start('sh', '-c', 'sleep 60 & echo $!; exec sleep 60')
    const [line] = (await once(parent.stdout!, 'data')) as [Buffer]
    const pid = Number(line.toString())
    await pollUntil(() => readFileSync(`/proc/${parent.pid}/comm`, 'utf8') === 'sleep\n')
    process.kill(pid, 'SIGKILL')
    await until(pid, 'dead', refOf(pid))
    expect(startTicks(pid)?.state).toBe('Z')
    expect(here.signal(pid)).toBe('there')
  })

  test('a name full of brackets and states does not mislead', async () => {
    const script = `process.title = 'evil) Z 1 2 3'; console.log('ready'); setInterval(() => {}, 1_000)`
    const child = start(process.execPath, '-e', script)
    await once(child.stdout!, 'data')
    expect(readFileSync(`/proc/${child.pid}/comm`, 'utf8')).toBe('evil) Z 1 2 3\n')
    const seen = startTicks(child.pid!)!
    expect(seen.state).toMatch(/^[RSD]$/)
    expect(seen.ticks).toBeGreaterThanOrEqual(own.startTicks)
    expect(look(refOf(child.pid!), here)).toBe('alive')
  })

  test('a process that never was has neither start time nor state', () => {
    expect(startTicks(2 ** 30)).toBeUndefined()
    expect(here.signal(2 ** 30)).toBe('gone')
  })
})
