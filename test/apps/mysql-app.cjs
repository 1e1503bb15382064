// A service that uses MariaDB through a pool of two connections, or one connection that it keeps itself, and says nothing of health.
const { createServer } = require('node:http')

/** `pool` has promises, whichever API it was made by. */
module.exports = function start(pool, connect) {
  const held = []
  let single
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
    '/again': async () => {
      single = await connect()
      single.on('error', () => {})
      return single.threadId
    },
    '/single': async () => (await single.query('SELECT 1 AS one'))[0],
    '/save': async () =>
      single.query('CALL save_order()').then(
        () => 'saved',
        ({ errno }) => errno,
      ),
    '/save-prepared': async () =>
      single.execute('CALL save_order()').then(
        () => 'saved',
        ({ errno }) => errno,
      ),
    '/write': async () => pool.query('INSERT INTO writes VALUES (1)'),
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
