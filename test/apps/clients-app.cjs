// A service that uses PostgreSQL and Redis through clients of its own, and says nothing of health.
const { writeSync } = require('node:fs')

module.exports = function start({ express, pg, Redis }) {
  const pool = process.env.DATABASE_URL
    ? new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 2 })
    : undefined
  pool?.on('error', () => {})
  const redis = process.env.REDIS_PORT ? new Redis(Number(process.env.REDIS_PORT), '127.0.0.1') : undefined
  redis?.on('error', () => {})
  const app = express()
  app.get('/', async (req, res) => {
    res.json({ pg: (await pool?.query('SELECT 1 AS one'))?.rows, redis: await redis?.set('a', '1') })
  })
  app.get('/block', (req, res) => {
    const until = Date.now() + Number(req.query.ms)
    writeSync(1, 'blocking\n')
    while (Date.now() < until);
    res.send('done')
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
