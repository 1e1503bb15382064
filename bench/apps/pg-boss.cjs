// Producer and worker of pg-boss in one process: so many jobs through one queue, timed from the first send to the last end, when others have gone before.
const { PgBoss } = require('pg-boss')
const { work } = require('./work.cjs')
const JOBS = Number(process.env.BENCH_JOBS)
const WARM_UP = Number(process.env.BENCH_WARM_UP)
const IN_FLIGHT = 10

async function main() {
  const boss = new PgBoss({ connectionString: process.env.BENCH_URL, supervise: false, schedule: false })
  boss.on('error', () => {})
  await boss.start()
  const name = `bench${process.pid}`
  await boss.createQueue(name)
  const run = async (count) => {
    let sent = 0
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async () => {
        while (sent++ < count) await boss.send(name, { order: 7 })
      }),
    )
    let done = 0
    while (done < count) {
      const jobs = await boss.fetch(name, { batchSize: 20 })
      await Promise.all(
        jobs.map((job) => {
          work()
          return boss.complete(name, job.id)
        }),
      )
      done += jobs.length
    }
  }
  await run(WARM_UP)
  const from = performance.now()
  const cpu = process.cpuUsage()
  await run(JOBS)
  const until = performance.now()
  const { user, system } = process.cpuUsage(cpu)
  process.send({ kind: 'listening', perSecond: (JOBS * 1000) / (until - from), cpuUs: (user + system) / JOBS })
  setInterval(() => {}, 1000)
}
void main()
