// Plain node:http; its parent asks for CPU and memory over IPC.
const { createServer } = require('node:http')
const server = createServer((req, res) => {
  res.setHeader('content-type', 'application/json')
  res.end('{"ok":true}')
}).listen(0, '127.0.0.1', () => {
  process.send({ kind: 'listening', port: server.address().port, cpuMs: cpuMs(), rss: process.memoryUsage.rss() })
})
process.on('message', (message) => {
  if (message === 'usage') process.send({ kind: 'usage', cpuMs: cpuMs(), rss: process.memoryUsage.rss() })
})
function cpuMs() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
