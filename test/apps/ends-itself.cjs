// A server that stops listening when it is asked to, and so comes to its natural end.
const { createServer } = require('node:http')

const server = createServer((req, res) => {
  if (req.url === '/end') server.close()
  res.setHeader('connection', 'close')
  res.end()
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
