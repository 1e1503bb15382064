// A server that answers and goes on working: it calls somebody who takes his time. `/<act>` ends the process, or only itself.
const cluster = require('node:cluster')
const { createServer } = require('node:http')

const acts = {
  // Awaited by nobody; how it ends is no error of the app's.
  work: () => {
    fetch(process.env.SLOW_URL, { method: 'POST' }).catch(() => {})
    console.log('working')
  },
  kill: () => process.kill(process.pid, 'SIGKILL'),
  segv: () => process.kill(process.pid, 'SIGSEGV'),
  abort: () => process.abort(),
  exit: () => process.exit(0),
  throw: () => {
    throw new RangeError('of another request')
  },
  memory: () => {
    const all = []
    for (;;) all.push(Array.from({ length: 1e5 }, () => all.length))
  },
  replace: () =>
    process.execve(process.execPath, [process.execPath, ...process.execArgv, __filename], {
      ...process.env,
      REPLACED: '1',
    }),
  drain: () => server.close(),
}
const server = createServer((req, res) => {
  const act = req.url.slice(1)
  res.end('ok')
  res.on('close', () => setImmediate(() => acts[act]?.()))
})
if (process.env.CLUSTER && cluster.isPrimary) cluster.fork().on('exit', () => console.log('worker gone'))
else
  server.listen(0, '127.0.0.1', () =>
    console.log(`${process.env.REPLACED ? 'replaced' : 'listening'} ${server.address().port}`),
  )
