// Queries of pg, one after another: CPU of the process for each.
const { createRequire } = require('node:module')
const { Pool } = createRequire(require.resolve('pg-boss'))('pg')
const QUERIES = Number(process.env.BENCH_QUERIES)

async function main() {
  const pool = new Pool({ connectionString: process.env.BENCH_URL, max: 1 })
  const run = async () => {
    for (let i = 0; i < QUERIES; i++) await pool.query('SELECT $1::int AS one', [i])
  }
  await run() // warms up
  const cpu = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(cpu)
  process.send({ kind: 'listening', cpuUs: (user + system) / QUERIES })
  setInterval(() => {}, 1000)
}
void main()
