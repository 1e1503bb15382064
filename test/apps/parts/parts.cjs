// One service in several parts: MODE says whether they are worker threads, forked processes or cluster workers. Each part serves, and says where.
const { createServer } = require('node:http')
const cluster = require('node:cluster')
const { fork } = require('node:child_process')
const { isMainThread, threadId, Worker } = require('node:worker_threads')

const isPart = !isMainThread || cluster.isWorker || process.argv[2] === 'part'
if (isPart) serve()
else if (process.env.MODE === 'threads') [1, 2].forEach(() => new Worker(__filename))
else if (process.env.MODE === 'fork') [1, 2].forEach(() => fork(__filename, ['part']))
else [1, 2].forEach(() => cluster.fork())
if (!isPart) serve()

function serve() {
  const server = createServer((request, response) => {
    response.end(`${process.pid}.${threadId}`)
    if (request.url === '/end') {
      // a thread and a cluster worker end alone
      if (isPart) setImmediate(() => process.exit(0))
    }
  })
  // Cluster would share the port.
  server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () =>
    console.log(`listening ${server.address().port}`),
  )
}
