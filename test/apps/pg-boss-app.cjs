// A web service and a worker of pg-boss in one file: ROLE says which. The jobs do what their data says.
module.exports = async function start({ express, PgBoss }) {
  const boss = new PgBoss({
    connectionString: process.env.DATABASE_URL,
    superviseIntervalSeconds: 1,
    monitorIntervalSeconds: 1,
    schedule: false,
    supervise: process.env.ROLE === 'worker',
  })
  boss.on('error', () => {})
  await boss.start()
  await boss.createQueue('mail', { retryLimit: 1, retryDelay: 1, expireInSeconds: 3 })
  if (process.env.ROLE === 'worker') {
    await boss.work('mail', { pollingIntervalSeconds: 0.5 }, async ([job]) => {
      console.log(`job ${JSON.stringify(job.data)}`)
      if (job.data.fails) throw new TypeError('the mail server said no')
      if (job.data.hangs && !process.env.FAST) await new Promise(() => setInterval(() => {}, 1000))
    })
    console.log('ready')
    return
  }
  const app = express()
  app.get('/send/:how', async (req, res) => {
    const id = await boss.send('mail', { [req.params.how]: true })
    res.json({ id })
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
