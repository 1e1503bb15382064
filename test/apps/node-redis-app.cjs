// A service that uses Redis through node-redis, and says nothing of health.
const { createServer } = require('node:http')

module.exports = async function start({ createClient }) {
  const redis = createClient({ url: process.env.REDIS_URL })
  redis.on('error', () => {})
  await redis.connect()
  const server = createServer((req, res) => {
    const command = new URL(req.url, 'http://localhost').searchParams.get('command')
    redis.sendCommand(command.split(' ')).then(
      (reply) => res.end(JSON.stringify(reply)),
      (error) => res.end(String(error)),
    )
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
