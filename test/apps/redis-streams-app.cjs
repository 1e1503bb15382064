// A web service and a worker of a Redis stream in one file: ROLE says which. The entries do what they say.
const { STREAM } = process.env

module.exports = async function start({ express, Redis }) {
  const redis = new Redis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT) })
  // Whoever comes first makes the group: a stream without one is a log.
  await redis.xgroup('CREATE', STREAM, 'mailers', '0', 'MKSTREAM').catch(() => {})
  if (process.env.ROLE === 'worker') return work(redis)
  const app = express()
  app.get('/send/:how', async (req, res) => {
    res.json({ id: await redis.xadd(STREAM, '*', 'how', req.params.how) })
  })
  app.get('/send-many', async (req, res) => {
    const batch = redis.pipeline()
    for (const how of ['succeeds', 'fails-always', 'succeeds']) batch.xadd(STREAM, '*', 'how', how)
    await batch.exec()
    res.json({})
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

async function work(redis) {
  const me = `worker-${process.pid}`
  const seen = new Map()
  const handle = async ([id, [, how]]) => {
    console.log(`job ${how}`)
    const n = (seen.get(id) ?? 0) + 1
    seen.set(id, n)
    if (how === 'hangs' && !process.env.FAST) await new Promise(() => setInterval(() => {}, 1000))
    if (how === 'fails' && n === 1) throw new TypeError('the mail server said no')
    if (how === 'fails-always') throw new TypeError('the mail server said no')
    await redis.xack(STREAM, 'mailers', id)
    if (how === 'dies-after') process.kill(process.pid, 'SIGKILL')
  }
  console.log('ready')
  for (;;) {
    const [, left] = await redis.xautoclaim(STREAM, 'mailers', me, 300, '0', 'COUNT', 10)
    const found = await redis.xreadgroup('GROUP', 'mailers', me, 'COUNT', 10, 'BLOCK', 100, 'STREAMS', STREAM, '>')
    for (const entry of [...left, ...(found?.[0][1] ?? [])])
      await handle(entry).catch((error) => console.log(error.message))
  }
}
