// A service with one connection to PostgreSQL that it keeps itself, beside a pool.
const { createServer } = require('node:http')

module.exports = async function start({ Client, Pool }) {
  const connectionString = process.env.DATABASE_URL
  const pool = new Pool({ connectionString, max: 2 })
  pool.on('error', () => {})
  let client
  const connect = async () => {
    client = new Client({ connectionString })
    client.on('error', () => {})
    await client.connect()
  }
  const routes = {
    '/again': connect,
    '/begin': () => client.query('BEGIN'),
    '/break': () => client.query('SELECT 1 / 0').catch((error) => error.code),
    '/inside': async () => (await client.query("SELECT current_setting('transaction_isolation') AS one")).rows,
    '/pid': async () => (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid,
    '/rollback': () => client.query('ROLLBACK'),
  }
  await pool.query('SELECT 1')
  await connect()
  const server = createServer((request, response) => {
    const answer = async () => JSON.stringify(await routes[request.url]?.()) ?? 'null'
    answer().then(
      (text) => response.end(text),
      (error) => response.writeHead(500).end(String(error)),
    )
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
