// Puts an object of its own in place of Node's `process`, as environments for tests of browsers' code do.
const node = process
const http = require('node:http')
globalThis.process = {}
node.on('SIGUSR2', () => {})
const server = http.createServer((req, res) => res.end('ok'))
server.listen(0, '127.0.0.1', () => {
  http.get({ port: server.address().port, agent: false }, (response) => {
    console.log(response.statusCode)
    response.resume().on('close', () => server.close())
  })
})
