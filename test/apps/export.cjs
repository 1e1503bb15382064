// A server that answers, well or not, and does nothing else.
const { createServer } = require('node:http')

const server = createServer((req, res) => {
  res.statusCode = req.url.startsWith('/fail') ? 500 : 200
  res.end()
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
