// A server whose requests promise work of all kinds, and that says what is alive in it: objects, after all garbage is gone.
const { createServer } = require('node:http')
const { setTimeout: sleep } = require('node:timers/promises')
const { getHeapSnapshot } = require('node:v8')
const { track, runTask, openTask } = require('afterspan')

let side
process.on('worker', (worker) => {
  side = worker
})
const kinds = [
  () => track('soon', async () => {}),
  () => track('later', () => sleep(1)),
  () => track('refused', () => Promise.reject(new Error('no such order'))),
  () => runTask('at once', () => {}),
  () => openTask('opened', { deadlineMs: 60_000 }).succeed(),
  () => setTimeout(() => {}, 1),
  () => void Promise.resolve().then(() => sleep(1)),
]
const answer = async ({ url }, res) => {
  if (url === '/alive') {
    const alive = { main: await objects(getHeapSnapshot()), side: await objects(await side.getHeapSnapshot()) }
    return res.end(JSON.stringify({ ...alive, youngMb: side.resourceLimits.maxYoungGenerationSizeMb }))
  }
  for (let i = 0; i < 700; i++) kinds[i % kinds.length]()
  return res.end()
}
const server = createServer((req, res) => void answer(req, res))
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))

/** A snapshot says first of how many it is. */
async function objects(snapshot) {
  let head = ''
  for await (const chunk of snapshot) if (head.length < 10_000) head += chunk
  return Number(/"node_count":(\d+)/.exec(head)[1])
}
