// Producer and worker of BullMQ in one process: so many jobs through one queue, timed from the first add to the last end, when others have gone before.
const { Queue, Worker } = require('bullmq')
const { work } = require('./work.cjs')
const connection = { host: '127.0.0.1', port: Number(process.env.BENCH_PORT), maxRetriesPerRequest: null }
const JOBS = Number(process.env.BENCH_JOBS)
const WARM_UP = Number(process.env.BENCH_WARM_UP)
const IN_FLIGHT = 50

async function main() {
  const name = `bench-${process.pid}`
  const telemetry = process.env.BENCH_TELEMETRY ? new (require('bullmq-otel').BullMQOtel)('bench') : undefined
  const queue = new Queue(name, { connection, telemetry })
  let done = 0
  let finish
  const finished = new Promise((resolve) => (finish = resolve))
  const worker = new Worker(name, async () => work(), { connection, telemetry, concurrency: 20 })
  worker.on('completed', () => {
    if (++done === WARM_UP) isWarm()
    else if (done === WARM_UP + JOBS) finish(performance.now())
  })
  let isWarm
  const run = async (jobs) => {
    let sent = 0
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async () => {
        while (sent++ < jobs) await queue.add('mail', { order: 7 })
      }),
    )
  }
  const warm = new Promise((resolve) => (isWarm = resolve))
  await run(WARM_UP)
  await warm
  const from = performance.now()
  const cpu = process.cpuUsage()
  await run(JOBS)
  const until = await finished
  const { user, system } = process.cpuUsage(cpu)
  process.send({ kind: 'listening', perSecond: (JOBS * 1000) / (until - from), cpuUs: (user + system) / JOBS })
  setInterval(() => {}, 1000)
}
void main()
