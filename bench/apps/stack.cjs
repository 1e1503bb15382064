// Express with pg and ioredis, as many services are; its parent asks for CPU and memory over IPC.
const { createRequire } = require('node:module')
const express = require('express')
const { tellUsage } = require('./usage.cjs')
const { Redis } = createRequire(require.resolve('bullmq'))('ioredis')
const { Pool } = createRequire(require.resolve('pg-boss'))('pg')

const redis = new Redis(process.env.BENCH_REDIS)
const pool = new Pool({ connectionString: process.env.BENCH_POSTGRES })
const app = express()
app.get('/redis/:id', async (req, res) => {
  res.json({ id: req.params.id, seen: await redis.get(`seen:${req.params.id}`) })
})
app.get('/both/:id', async (req, res) => {
  const seen = await redis.get(`seen:${req.params.id}`)
  const { rows } = await pool.query('SELECT $1::text AS id', [req.params.id])
  res.json({ id: rows[0].id, seen })
})
tellUsage(app.listen(0, '127.0.0.1'))
