// A web service and a worker of BullMQ in one file: ROLE says which. The jobs do what their data says.
module.exports = function start({ express, FlowProducer, Queue, Worker }) {
  const { REDIS_DB = 0, REDIS_PORT } = process.env
  const connection = { host: '127.0.0.1', port: Number(REDIS_PORT), db: Number(REDIS_DB), maxRetriesPerRequest: null }
  if (process.env.ROLE === 'worker') {
    const worker = new Worker(
      'mail',
      async (job) => {
        console.log(`job ${JSON.stringify(job.data)}`)
        if (job.data.fails) throw new TypeError('the mail server said no')
        if (job.data.hangs && !process.env.FAST) await new Promise(() => setInterval(() => {}, 1000))
      },
      { connection, lockDuration: 1000, stalledInterval: 1000 },
    )
    worker.on('error', () => {})
    void worker.waitUntilReady().then(() => console.log('ready'))
    return
  }
  const queue = new Queue('mail', { connection })
  const app = express()
  app.get('/send/:how', async (req, res) => {
    const job = await queue.add(
      'welcome',
      { [req.params.how]: true },
      { attempts: 2, backoff: { type: 'fixed', delay: 50 } },
    )
    res.json({ id: job.id })
  })
  // A child that fails, and its parent and grandparent with it.
  app.get('/flow', async (req, res) => {
    const child = { name: 'part', queueName: 'mail', data: { fails: true }, opts: { failParentOnFailure: true } }
    const parent = { ...child, name: 'half', data: {}, children: [child] }
    await new FlowProducer({ connection }).add({ name: 'whole', queueName: 'mail', data: {}, children: [parent] })
    res.json({})
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
