// A service that forgets to give the clients of its pool back.
const { createServer } = require('node:http')
const pg = require('pg')

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 2 })
pool.on('error', () => {})
const taken = []
const actions = {
  '/leak': async () => {
    taken.push(await pool.connect())
    taken.push(await pool.connect())
  },
  '/want': () => void pool.query('SELECT 1').catch(() => {}),
  '/free': () => taken.splice(0).forEach((client) => client.release()),
}
const server = createServer((req, res) => {
  Promise.resolve(actions[req.url]?.()).then(
    () => res.end('done'),
    (error) => res.end(String(error)),
  )
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
