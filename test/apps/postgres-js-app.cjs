// A service that uses PostgreSQL through postgres.js, and says nothing of health.
const { createServer } = require('node:http')

module.exports = function start({ postgres }) {
  const sql = postgres(process.env.DATABASE_URL, { max: 1 })
  const server = createServer((req, res) => {
    sql.unsafe(new URL(req.url, 'http://localhost').searchParams.get('sql')).then(
      (rows) => res.end(JSON.stringify(rows)),
      (error) => res.end(String(error)),
    )
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
