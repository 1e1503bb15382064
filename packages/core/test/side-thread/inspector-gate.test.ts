import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { createInspectorGate, leaveThroughGate, sideGate } from '../../src/side-thread/inspector-gate.ts'

describe('the gate', () => {
  test('is closed for good once the process is leaving', () => {
    const gate = createInspectorGate()
    leaveThroughGate(gate)
    expect(sideGate(gate).open()).toBe(false)
  })

  test('who leaves waits for an open session, and not longer than a bound', async () => {
    const gate = createInspectorGate()
    const side = sideGate(gate)
    expect([side.open(), side.open()]).toEqual([true, false])
    side.close()
    expect(side.open()).toBe(true)
    const other = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads')
       const cell = new Int32Array(workerData)
       setInterval(() => { if (Atomics.load(cell, 0) === 2) { Atomics.notify(cell, 0); process.exit() } }, 1)
       parentPort.postMessage('up')`,
      { eval: true, workerData: gate },
    )
    await new Promise((resolve) => other.once('message', resolve))
    leaveThroughGate(gate)
    expect(side.isLeaving()).toBe(true)
    // Nobody closes this one: the bound is all there is to wait for.
    const nobody = createInspectorGate()
    sideGate(nobody).open()
    leaveThroughGate(nobody)
    expect(sideGate(nobody).isLeaving()).toBe(true)
    await other.terminate()
  })
})
