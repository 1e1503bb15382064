// A service with a pool of pg that prints what it is told of its health.
const { health, onReport } = require('afterspan')
const express = require('express')
const pg = require('pg')

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 3 })
pool.on('error', () => {})
onReport((incident) => console.log(`told ${JSON.stringify(incident)}`))
health.onChange((change) => console.log(`changed ${JSON.stringify(change)}`))
const app = express()
app.get('/orders/:id', async (req, res) => {
  res.json((await pool.query('SELECT 1 AS one')).rows)
})
app.get('/save', async (req, res) => {
  const saved = await pool.query('SELECT save_order()').then(
    () => 'saved',
    (error) => error.code,
  )
  res.send(saved)
})
app.get('/wrong', async (req, res) => {
  const { code } = await pool.query('SELECT nonsense').catch((error) => error)
  res.send(code)
})
const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
