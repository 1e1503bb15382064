// Answers at once and does the rest later, for a test that kills it at any moment.
const { createServer } = require('node:http')
const { track } = require('afterspan')

const server = createServer((req, res) => {
  void track('job', () => new Promise((resolve) => setTimeout(resolve, Math.random() * 30)))
  res.end('ok')
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
