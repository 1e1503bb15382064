// Each request promises one piece of work that is done at once; `/hang` one that never is, `/exit` ends in order.
const { createServer } = require('node:http')
const { track } = require('afterspan')

const server = createServer(({ url }, res) => {
  if (url === '/exit') return void res.end('bye', () => process.exit(0))
  void track('work', url === '/hang' ? () => new Promise(() => {}) : async () => {})
  res.end('ok')
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
