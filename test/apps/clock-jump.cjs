// The wall clock of this process, on every thread, as if somebody had set it: at SIGUSR2.
const { isMainThread, getEnvironmentData, setEnvironmentData } = require('node:worker_threads')

const jumped = isMainThread ? new Int32Array(new SharedArrayBuffer(4)) : getEnvironmentData('jumped')
if (isMainThread) setEnvironmentData('jumped', jumped)
const now = Date.now
Date.now = () => now() + (jumped[0] ? Number(process.env.JUMP_MS) : 0)
if (isMainThread)
  process.on('SIGUSR2', () => {
    jumped[0] = 1
    console.log('jumped')
  })
