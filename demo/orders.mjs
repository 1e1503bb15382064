import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { block, chapter, claim, progress, say, until } from './stage.mjs'

const cli = join(dirname(createRequire(import.meta.url).resolve('afterspan/package.json')), 'bin/afterspan.js')

export async function goodOrder(demo) {
  chapter('An order whose work succeeds')
  const { traceId } = await order(demo, { item: 'book' })
  const receipt = await settled(demo, traceId, ({ verdict }) => verdict === 'kept')
  show(demo, traceId)
  const spans = await spansWith(demo, traceId, (all) => all.some(({ name }) => name === 'process fulfil'))
  await draw(demo, spans)
  claim(receipt.verdict === 'kept', 'the receipt says kept')
  claim(spans.length > 0 && spans.every(({ status }) => status.code !== 'error'), 'no span of the trace is an error')
}

export async function brokenJob(demo) {
  chapter('An order that was answered 200, and whose job throws until its retries are used up')
  const { traceId } = await order(demo, { item: 'unobtainium' })
  progress('three attempts, a second and more between them')
  const receipt = await settled(demo, traceId, ({ tasks }) => tasks[0]?.state === 'failed')
  show(demo, traceId)
  const failed = (span) => span.attributes['afterspan.task.state'] === 'failed'
  const spans = await spansWith(demo, traceId, (all) => isErrorInside(all, failed))
  await draw(demo, spans)
  const [task] = receipt.tasks
  claim(
    task?.state === 'failed' && task.reason === 'retries_exhausted' && task.attempts.length === 3,
    'the receipt says failed, retries_exhausted, three attempts',
  )
  claim(
    isErrorInside(spans, failed),
    'the ERROR span lies inside the request’s own trace, with error.type and afterspan.task.state',
  )
}

export async function refusedWebhook(demo) {
  chapter('An order that was answered 200, and whose webhook is refused afterwards')
  const { traceId } = await order(demo, { item: 'lamp', webhook: true })
  const receipt = await settled(demo, traceId, ({ tasks }) => tasks[0]?.state === 'failed')
  show(demo, traceId)
  const failed = (span) => span.kind === 'client' && span.attributes['afterspan.task.state'] === 'failed'
  const spans = await spansWith(demo, traceId, (all) => isErrorInside(all, failed))
  await draw(demo, spans)
  claim(
    receipt.tasks[0]?.state === 'failed' && receipt.tasks[0].system === 'process',
    'the receipt says failed: nobody awaited it, and no library told of it',
  )
  claim(isErrorInside(spans, failed), 'the ERROR span lies inside the request’s own trace')
}

export async function killedWorker(demo) {
  chapter('An order that was answered 200, and whose worker is ended with SIGKILL in the middle of the job')
  const { id, traceId } = await order(demo, { item: 'piano' })
  await demo.worker.line(new RegExp(`fulfils order ${id} `))
  say(`   kill -9 ${demo.worker.pid}`)
  await demo.worker.end('SIGKILL')
  let receipt = await settled(demo, traceId, ({ tasks }) => tasks[0]?.state === 'lost')
  show(demo, traceId)
  const lost = (span) => span.attributes['afterspan.task.state'] === 'lost'
  let spans = await spansWith(demo, traceId, (all) => isErrorInside(all, lost))
  await draw(demo, spans)
  const [task] = receipt.tasks
  claim(
    task?.state === 'lost' && task.reason === 'process_killed' && task.evidence === 'process_gone',
    'with no other worker there, the receipt says lost, and what proves it',
  )
  claim(isErrorInside(spans, lost), 'the killed attempt is an ERROR span inside the request’s own trace')

  say('')
  demo.worker = await demo.startWorker()
  progress('pg-boss gives the job to the new worker when its own time-out (5 s) is over')
  receipt = await settled(demo, traceId, ({ tasks }) => tasks[0]?.state === 'succeeded', 30)
  show(demo, traceId)
  spans = await spansWith(demo, traceId, (all) => all.filter(({ name }) => name === 'process fulfil').length === 2)
  await draw(demo, spans)
  claim(receipt.verdict === 'kept' && receipt.tasks[0]?.flags.recovered === true, 'the receipt says recovered')
}

async function order({ url }, body) {
  const response = await fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const traceId = response.headers.get('traceresponse')?.split('-')[1] ?? ''
  const { id } = await response.json()
  say(`   POST /orders ${JSON.stringify(body)} → ${response.status}, order ${id}`)
  claim(
    response.status === 200 && /^[0-9a-f]{32}$/.test(traceId),
    `answered 200, and the response names its trace: ${traceId}`,
  )
  return { id, traceId }
}

/** The receipt, once it will do; asked of the admin listener. */
function settled({ admin }, traceId, isEnough, seconds = 20) {
  const receipt = async () => {
    const response = await fetch(`${admin}/receipt/${traceId}`)
    return response.ok ? response.json() : { tasks: [] } // nobody patrols yet
  }
  return until(receipt, isEnough, seconds)
}

/** What the command line says of it. */
function show({ ledgerDir }, traceId) {
  say(`\n   $ npx afterspan receipt ${traceId}`)
  const { stdout, stderr } = spawnSync(process.execPath, [cli, 'receipt', traceId], {
    env: { ...process.env, AFTERSPAN_LEDGER_DIR: ledgerDir },
    encoding: 'utf8',
  })
  block(stdout + stderr)
}

function spansWith({ traces }, traceId, isEnough) {
  return until(() => traces.spans(traceId), isEnough, 10)
}

async function draw({ traces }, spans) {
  say('')
  block(traces.draw(spans))
  if (spans[0]) say(`   ${traces.page(spans[0].traceId)}\n`)
}

/** An ERROR span as it must be, whose parents lead to the request's SERVER span. */
function isErrorInside(spans, matches) {
  const span = spans.find((candidate) => matches(candidate))
  if (
    !span ||
    span.status.code !== 'error' ||
    !span.attributes['error.type'] ||
    !span.attributes['afterspan.task.state']
  )
    return false
  const byId = new Map(spans.map((known) => [known.spanId, known]))
  for (let at = span, steps = 0; at && steps < 100; at = byId.get(at.parentSpanId), steps++)
    if (at.kind === 'server') return true
  return false
}
