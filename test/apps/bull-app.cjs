// A web service and a worker of Bull in one file: ROLE says which. The jobs do what their data says.
module.exports = function start({ express, Bull }) {
  const queue = new Bull('mail', {
    redis: { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), db: Number(process.env.REDIS_DB ?? 0) },
    settings: { lockDuration: 1000, stalledInterval: 1000 },
  })
  if (process.env.ROLE === 'worker') {
    void queue.process('welcome', async (job) => {
      console.log(`job ${JSON.stringify(job.data)}`)
      if (job.data.fails) throw new TypeError('the mail server said no')
      if (job.data.hangs && !process.env.FAST) await new Promise(() => setInterval(() => {}, 1000))
    })
    queue.on('error', () => {})
    void queue.isReady().then(() => console.log('ready'))
    return
  }
  const app = express()
  app.get('/send/:how', async (req, res) => {
    const job = await queue.add(
      'welcome',
      { [req.params.how]: true },
      { attempts: 2, backoff: { type: 'fixed', delay: 50 } },
    )
    res.json({ id: job.id })
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
