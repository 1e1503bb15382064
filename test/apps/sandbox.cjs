// A server and a worker of BullMQ in one process. What runs the jobs is this file once more, in a child process or a thread that
// BullMQ starts with the first job and keeps.
const express = require('express')
const { Queue, Worker } = require('bullmq')

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }

module.exports = async function run(job) {
  if (job.afterspan) throw new Error('the job has more than the app gave it')
  if (!job.data.next) return
  const queue = new Queue(job.data.next, { connection })
  await queue.add('next', {})
  await queue.close()
}
if (require.main === module) serve()

function serve() {
  const queues = {}
  for (const name of ['process', 'thread']) {
    queues[name] = new Queue(name, { connection })
    new Worker(name, __filename, { connection, useWorkerThreads: name === 'thread' })
  }
  const app = express()
  app.get('/:queue', async (req, res) => {
    await queues[req.params.queue].add('job', { next: req.query.next })
    res.json({})
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
