// A server and a worker of Bull in one process. What runs the jobs is this file once more, in a child process that Bull starts with the
// first job and keeps.
const express = require('express')
const Bull = require('bull')

const redis = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }

module.exports = async function run(job) {
  if (job.afterspan || job.opts.afterspan) throw new Error('the job has more than the app gave it')
  if (!job.data.next) return
  const queue = new Bull(job.data.next, { redis })
  await queue.add({})
  await queue.close()
}
if (require.main === module) serve()

function serve() {
  const first = new Bull('first', { redis })
  void first.process(__filename)
  const second = new Bull('second', { redis })
  void second.process(async () => {})
  const app = express()
  app.get('/', async (req, res) => {
    await first.add({ next: 'second' })
    res.json({})
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
