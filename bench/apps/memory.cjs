// A request promises ten tasks, and two that no library tells of, and answers before they are done. Its parent asks over IPC what
// the process holds, in both threads.
const { readFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { setTimeout: sleep } = require('node:timers/promises')
const { runTask, track } = require('afterspan')

let side
let tasks = 0
process.on('worker', (worker) => {
  side = worker
})
const server = createServer((req, res) => {
  setTimeout(() => {}, 1)
  void Promise.resolve().then(() => sleep(1))
  for (let n = 0; n < 10; n++) work(tasks++)
  res.end('{"ok":true}')
}).listen(0, '127.0.0.1', () => process.send({ kind: 'listening', port: server.address().port }))

function work(n) {
  if (n % 10_000 === 9_999) return track('refused', () => Promise.reject(new Error('no such order')))
  if (n % 10 === 8) return runTask('at once', () => n)
  if (n % 10 === 9) return track('later', () => sleep(2))
  return track('soon', async () => n)
}

async function tell() {
  const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage()
  const beside = side && (await side.getHeapStatistics().catch(() => undefined)) // not up yet
  const [, anonymousKb] = /^Anonymous: +(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))
  const more = { anonymous: anonymousKb * 1024, sideUsed: beside?.used_heap_size, sideTotal: beside?.total_heap_size }
  process.send({ kind: 'memory', tasks, rss, heapUsed, heapTotal, external, arrayBuffers, ...more })
}
process.on('message', (message) => {
  if (message === 'memory') void tell()
})
