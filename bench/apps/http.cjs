// Plain node:http; its parent asks for CPU and memory over IPC.
const { createServer } = require('node:http')
const { tellUsage } = require('./usage.cjs')
const server = createServer((req, res) => {
  res.setHeader('content-type', 'application/json')
  res.end('{"ok":true}')
}).listen(0, '127.0.0.1')
tellUsage(server)
