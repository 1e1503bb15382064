// A web service and a worker of bee-queue in one file: ROLE says which. The jobs do what their data says.
module.exports = function start({ express, BeeQueue }) {
  const queue = new BeeQueue('mail', {
    redis: { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) },
    activateDelayedJobs: true,
    stallInterval: 1000,
  })
  if (process.env.ROLE === 'worker') {
    queue.process(async (job) => {
      console.log(`job ${JSON.stringify(job.data)}`)
      if (job.data.fails) throw new TypeError('the mail server said no')
      if (job.data.hangs && !process.env.FAST) await new Promise(() => setInterval(() => {}, 1000))
    })
    queue.checkStalledJobs(500)
    queue.on('ready', () => console.log('ready'))
    return
  }
  const app = express()
  app.get('/send/:how', async (req, res) => {
    const job = await queue
      .createJob({ [req.params.how]: true })
      .retries(1)
      .backoff('fixed', 50)
      .save()
    res.json({ id: job.id })
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
