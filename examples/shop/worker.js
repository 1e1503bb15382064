// The shop's worker: takes orders from the queue and fulfils them.
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { FULFIL, queueOptions } from './queue.js'

const { DATABASE_URL } = process.env
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 3 })
const boss = new PgBoss({
  connectionString: DATABASE_URL,
  superviseIntervalSeconds: 1,
  monitorIntervalSeconds: 1,
  schedule: false,
})
boss.on('error', (error) => console.error(`shop: queue: ${error.message}`))
pool.on('error', (error) => console.error(`shop: database: ${error.message}`))

await boss.start()
await boss.createQueue(FULFIL, queueOptions)
await boss.work(FULFIL, { pollingIntervalSeconds: 0.5 }, async ([job]) => {
  const { orderId, item } = job.data
  console.log(`shop: worker ${process.pid} fulfils order ${orderId} (${item})`)
  await pool.query('UPDATE orders SET state = $2 WHERE id = $1', [orderId, 'packing'])
  if (item === 'unobtainium') throw new Error('out of stock: unobtainium')
  if (item === 'piano') await new Promise((resolve) => setTimeout(resolve, 2_000))
  await pool.query('UPDATE orders SET state = $2 WHERE id = $1', [orderId, 'sent'])
})
console.log('shop: worker is ready')
