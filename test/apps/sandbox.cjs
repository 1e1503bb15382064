// A server and a worker of BullMQ in one process. What runs the jobs is this file once more, in a child process or a thread that
// BullMQ starts with the first job and keeps.
const express = require('express')
const { Queue, Worker } = require('bullmq')

module.exports = async function run() {}
if (require.main === module) serve()

function serve() {
  const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }
  const queues = {}
  for (const name of ['process', 'thread']) {
    queues[name] = new Queue(name, { connection })
    new Worker(name, __filename, { connection, useWorkerThreads: name === 'thread' })
  }
  const app = express()
  app.get('/:queue', async (req, res) => {
    await queues[req.params.queue].add('job', {})
    res.json({})
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
