// One service in many processes or threads: MODE is cluster, threads or alone. /metrics on the app's own port is Afterspan's handler.
const cluster = require('node:cluster')
const http = require('node:http')
const { isMainThread, threadId, Worker } = require('node:worker_threads')
const { metricsHandler } = require('afterspan')

const WORKERS = 2

function serve() {
  const metrics = metricsHandler()
  const server = http.createServer((request, response) => {
    if (request.url === '/metrics') metrics(request, response)
    else response.end(isMainThread ? String(process.pid) : `thread ${threadId}`)
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

if (process.env.MODE === 'cluster' && cluster.isPrimary) {
  for (let i = 0; i < WORKERS; i++) cluster.fork()
  cluster.on('exit', (worker) => console.log(`gone ${worker.process.pid}`))
  // Also when a test ends it by SIGTERM: its workers go with it.
} else if (process.env.MODE === 'threads' && isMainThread) {
  for (let i = 0; i < WORKERS; i++) new Worker(__filename)
  serve()
} else serve()
