// A service with a client for each of several servers, as an app would make them, and one page that uses them all.
const { createServer } = require('node:http')
const { httpProbe, registerProbe } = require('afterspan')
const Redis = require('ioredis')
const mysql = require('mysql2/promise')
const nats = require('nats')
const pg = require('pg')
const postgres = require('postgres')
const { createClient } = require('redis')

const ignore = () => {}
const env = process.env
const pool = new pg.Pool({ host: '127.0.0.1', port: Number(env.POSTGRES_PORT), user: 'postgres', max: 3 })
pool.on('error', ignore)
const sql = postgres({ host: '127.0.0.1', port: Number(env.POSTGRES_PORT), user: 'postgres', max: 3, onnotice: ignore })
const maria = mysql.createPool({ host: '127.0.0.1', port: Number(env.MARIADB_PORT), user: 'root', connectionLimit: 3 })
const ioredis = new Redis(Number(env.REDIS_PORT), '127.0.0.1')
ioredis.on('error', ignore)
const redis = createClient({ socket: { host: '127.0.0.1', port: Number(env.REDIS_PORT) } })
redis.on('error', ignore)
redis.connect().catch(ignore)
const bus = nats.connect({
  servers: `127.0.0.1:${env.NATS_PORT}`,
  pingInterval: 1000,
  maxPingOut: 2,
  timeout: 1000,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 200,
})
registerProbe(httpProbe({ name: 'payments', url: `http://127.0.0.1:${env.HTTP_PORT}/health`, json: { status: 'up' } }))

const uses = {
  '/pg': () => pool.query('SELECT 1'),
  '/mysql': () => maria.query('SELECT 1'),
  '/postgres-js': () => sql`SELECT 1`,
  '/ioredis': () => ioredis.set('a', '1'),
  '/redis': () => redis.set('b', '1'),
  '/nats': async () => (await bus).flush(),
}
const counts = () => ({
  pg: { total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount },
  mysql: {
    total: maria.pool._allConnections.length,
    idle: maria.pool._freeConnections.length,
    waiting: maria.pool._connectionQueue.length,
  },
})
const server = createServer((request, response) => {
  const answer = (what) => response.end(JSON.stringify(what))
  if (request.url === '/counts') return answer(counts())
  uses[request.url]().then(
    () => answer('done'),
    (error) => response.writeHead(500).end(String(error)),
  )
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
