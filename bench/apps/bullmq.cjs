// Producer and worker of BullMQ in one process: so many jobs through one queue, timed from the first add to the last end.
const { Queue, Worker } = require('bullmq')
const { work } = require('./work.cjs')
const connection = { host: '127.0.0.1', port: Number(process.env.BENCH_PORT), maxRetriesPerRequest: null }
const JOBS = Number(process.env.BENCH_JOBS)
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
    if (++done === JOBS * 2) finish(performance.now())
    if (done === JOBS) startedSecond?.()
  })
  let startedSecond
  const run = async () => {
    let sent = 0
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async () => {
        while (sent++ < JOBS) await queue.add('mail', { order: 7 })
      }),
    )
  }
  // The first half warms up.
  const warm = new Promise((resolve) => (startedSecond = resolve))
  await run()
  await warm
  const from = performance.now()
  const cpu = process.cpuUsage()
  await run()
  const until = await finished
  const { user, system } = process.cpuUsage(cpu)
  process.send({ kind: 'listening', perSecond: (JOBS * 1000) / (until - from), cpuUs: (user + system) / JOBS })
  setInterval(() => {}, 1000)
}
void main()
