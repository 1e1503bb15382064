// A server whose jobs nobody runs: it sends one to a queue of its own for each way to end it, and then ends it so.
const express = require('express')

const ends = process.env.REDIS_PORT ? bullmq() : pgBoss()

void ends.then((ways) => {
  const app = express()
  app.get('/send/:way', async (req, res) => {
    const { send } = ways[req.params.way]
    res.json(await send(req.params.way))
  })
  app.get('/end/:way', async (req, res) => {
    const { end } = ways[req.params.way]
    res.json({ said: (await end(req.params.way)) ?? null })
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
})

async function bullmq() {
  const { FlowProducer, Queue, Worker } = require('bullmq')
  const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }
  const queues = {}
  const queue = (name) => queues[name]
  const flows = new FlowProducer({ connection })
  const jobs = {}
  const one = (opts) => async (name) => {
    jobs[name] = await queue(name).add('job', {}, opts)
    return { id: jobs[name].id }
  }
  const flow = async (name) => {
    const children = ['a', 'b'].map((child) => ({ name: child, queueName: `${name}-children`, data: {} }))
    const { job } = await flows.add({ name: 'parent', queueName: name, data: {}, children })
    jobs[name] = job
    return { id: job.id }
  }
  const ways = {
    drain: { send: one({}), end: (name) => queue(name).drain() },
    drainDelayed: { send: one({ delay: 3_600_000 }), end: (name) => queue(name).drain(true) },
    drainNotDelayed: { send: one({ delay: 3_600_000 }), end: (name) => queue(name).drain() },
    clean: { send: one({}), end: (name) => queue(name).clean(0, 100, 'wait') },
    cleanCompleted: { send: one({}), end: (name) => queue(name).clean(0, 100) },
    obliterate: { send: one({ delay: 3_600_000 }), end: (name) => queue(name).obliterate() },
    remove: { send: one({ priority: 5 }), end: (name) => queue(name).remove(jobs[name].id) },
    removeParent: { send: flow, end: (name) => jobs[name].remove() },
    removeChildren: { send: flow, end: (name) => jobs[name].removeUnprocessedChildren() },
  }
  // Here: what a queue asks of Redis when it is made is no request's work.
  for (const name of Object.keys(ways)) {
    queues[name] = new Queue(name, { connection })
    await queues[name].waitUntilReady()
  }
  // Nobody adds to its queue.
  const worker = new Worker('none', async () => {}, { connection })
  await worker.waitUntilReady()
  ways.closeWorker = { end: () => worker.close() }
  return ways
}

async function pgBoss() {
  const { PgBoss } = require('pg-boss')
  const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, schedule: false, supervise: false })
  boss.on('error', () => {})
  await boss.start()
  const send = async (name) => {
    await boss.createQueue(name)
    return { id: await boss.send(name, {}, { startAfter: name === 'deleteAllJobs' ? 3600 : 0 }) }
  }
  return {
    deleteQueue: { send, end: (name) => boss.deleteQueue(name) },
    deleteQueuedJobs: { send, end: (name) => boss.deleteQueuedJobs(name) },
    deleteAllJobs: { send, end: (name) => boss.deleteAllJobs(name) },
    deleteStoredJobs: { send, end: (name) => boss.deleteStoredJobs(name) },
  }
}
