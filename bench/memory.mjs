// What an app holds while it promises very many tasks: `node bench/memory.mjs [--tasks 1000000] [--bare]`. Two minutes; it ends after
// ten, however many were done. It is no part of `pnpm bench`.
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startApp } from './child.mjs'
import { contestants } from './contestants.mjs'
import { load } from './load.mjs'

const { values } = parseArgs({ options: { tasks: { type: 'string' }, bare: { type: 'boolean' } } })
const TASKS = Number(values.tasks ?? 1_000_000)
const SAMPLES = 10
const MOST_MS = 600_000
const QUIET_MS = 10_000

const collector = createServer((req, res) => {
  req.resume()
  req.on('end', () => res.writeHead(200, { 'content-type': 'application/x-protobuf' }).end())
}).listen(0, '127.0.0.1')
await new Promise((resolve) => collector.once('listening', resolve))
const app = await startApp(
  'memory',
  contestants(`http://127.0.0.1:${collector.address().port}`)[values.bare ? 'bare' : 'afterspan'],
)

const from = performance.now()
const rows = [await sample()]
for (let next = TASKS / SAMPLES; rows.at(-1).tasks < TASKS && performance.now() - from < MOST_MS;) {
  await load(`http://127.0.0.1:${app.port}/`, { connections: 10, ms: 500 })
  const row = await sample()
  if (row.tasks < next) continue
  rows.push(row)
  next = row.tasks + TASKS / SAMPLES
}
await sleep(QUIET_MS)
rows.push(await sample())
await app.stop()
collector.closeAllConnections()
collector.close()
console.table(rows)

async function sample() {
  const held = await app.memory()
  const mb = (bytes) => (bytes === undefined ? '' : Math.round(bytes / 1048576))
  return {
    tasks: held.tasks,
    s: Math.round((performance.now() - from) / 1000),
    'RSS MB': mb(held.rss),
    'not of files': mb(held.anonymous),
    'heap used': mb(held.heapUsed),
    'heap reserved': mb(held.heapTotal),
    external: mb(held.external),
    'array buffers': mb(held.arrayBuffers),
    'side thread used': mb(held.sideUsed),
    'side thread reserved': mb(held.sideTotal),
  }
}
