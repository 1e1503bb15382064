// A plain Express app; its parent asks for CPU and memory over IPC.
const express = require('express')
const app = express()
app.get('/plain/:id', (req, res) => {
  res.json({ id: req.params.id })
})
const server = app.listen(0, '127.0.0.1', () => {
  process.send({ kind: 'listening', port: server.address().port, cpuMs: cpuMs(), rss: process.memoryUsage.rss() })
})
process.on('message', (message) => {
  if (message === 'usage') process.send({ kind: 'usage', cpuMs: cpuMs(), rss: process.memoryUsage.rss() })
})
function cpuMs() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
