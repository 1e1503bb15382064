// A service that uses MariaDB through a pool of two connections, and says nothing of health.
const { createServer } = require('node:http')

/** `pool` has promises, whichever API it was made by. */
module.exports = function start(pool) {
  const held = []
  const routes = {
    '/': async () => (await pool.query('SELECT 1 AS one'))[0],
    '/hold': async () => {
      held.push(await pool.getConnection(), await pool.getConnection())
      return 'held'
    },
    '/free': async () => {
      for (const connection of held.splice(0)) connection.release()
      return 'free'
    },
    '/read-only': async () => pool.query('SET GLOBAL read_only = 1'),
    '/read-write': async () => pool.query('SET GLOBAL read_only = 0'),
    '/connections': async () => (await pool.query("SHOW STATUS LIKE 'Threads_connected'"))[0][0].Value,
  }
  const server = createServer((request, response) => {
    const run = routes[request.url] ?? (async () => 'nothing')
    run().then(
      (answer) => response.end(JSON.stringify(answer)),
      (error) => response.writeHead(500).end(String(error)),
    )
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
