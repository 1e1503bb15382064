// A service with so many probes of its own, or the same endpoint made otherwise. Its parent asks for CPU and memory over IPC.
const { createServer } = require('node:http')
const { connect, createServer: createTcpServer } = require('node:net')
const { startOther } = require('./health-others.cjs')
const { tellUsage } = require('./usage.cjs')
const { BENCH_KIND = 'afterspan', BENCH_OTHER_FOLDER, BENCH_PROBES = '0', BENCH_SWALLOWS } = process.env

const server = createServer((req, res) => {
  if (req.url === '/block') {
    const until = Date.now() + 4_000
    while (Date.now() < until);
  }
  res.setHeader('content-type', 'text/plain; charset=utf-8')
  res.end('ok')
})
if (BENCH_KIND === 'terminus') {
  const { createTerminus } = require('@godaddy/terminus')
  createTerminus(server, { healthChecks: { '/readyz': async () => ({ db: 'ok' }) } })
}
if (BENCH_KIND === 'afterspan') {
  const { registerProbe } = require('afterspan')
  // A server that takes connections and bytes, and never says a word.
  const hole = createTcpServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
  for (let i = 0; i < Number(BENCH_PROBES); i++)
    registerProbe({
      name: `probe-${i}`,
      component: `server-${i}`,
      criticality: 'optional',
      check: (signal) =>
        BENCH_SWALLOWS
          ? new Promise((_, reject) => {
              const socket = connect(hole.address().port, '127.0.0.1', () => socket.write('ping'))
              socket.on('error', () => {})
              signal.addEventListener('abort', () => {
                socket.destroy()
                reject(new Error('no answer'))
              })
            })
          : Promise.resolve({ status: 'pass' }),
    })
}
if (BENCH_OTHER_FOLDER)
  void startOther(BENCH_KIND, BENCH_OTHER_FOLDER).then(({ server, path }) => tellUsage(server, { path }))
else tellUsage(server.listen(0, '127.0.0.1'))
