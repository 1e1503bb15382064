// The shop's web service. An order is answered at once; the work behind it goes to a queue, and a partner is told by a webhook
// that nobody waits for.
import express from 'express'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { FULFIL, queueOptions } from './queue.js'

const { DATABASE_URL, WEBHOOK_URL, PORT = '3000' } = process.env
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 5 })
const boss = new PgBoss({ connectionString: DATABASE_URL, supervise: false, schedule: false })
boss.on('error', (error) => console.error(`shop: queue: ${error.message}`))
pool.on('error', (error) => console.error(`shop: database: ${error.message}`))

await boss.start()
await boss.createQueue(FULFIL, queueOptions)
await pool.query('CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item text NOT NULL, state text NOT NULL)')

const app = express()
app.use(express.json())

app.post('/orders', async (req, res) => {
  const { item, webhook = false } = req.body
  const { rows } = await pool.query('INSERT INTO orders (item, state) VALUES ($1, $2) RETURNING id', [item, 'accepted'])
  const { id } = rows[0]
  if (!webhook) await boss.send(FULFIL, { orderId: id, item })
  res.json({ id, state: 'accepted' })
  if (webhook) fetch(WEBHOOK_URL, { method: 'POST', body: JSON.stringify({ id }) }).catch(() => {})
})

app.get('/orders/:id', async (req, res) => {
  const { rows } = await pool.query('SELECT id, item, state FROM orders WHERE id = $1', [req.params.id])
  if (rows.length === 0) res.status(404).json({ error: 'no such order' })
  else res.json(rows[0])
})

const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`shop: web listens on http://127.0.0.1:${server.address().port}`)
})
