// Its working directory is taken away; it serves one request.
const { mkdtempSync, rmdirSync } = require('node:fs')
const http = require('node:http')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

const folder = mkdtempSync(join(tmpdir(), 'gone-'))
process.chdir(folder)
rmdirSync(folder)
const server = http.createServer((req, res) => res.end('served'))
server.listen(0, '127.0.0.1', () => {
  http.get({ port: server.address().port, agent: false }, (response) =>
    response.resume().on('end', () => server.close(() => console.log('closed'))),
  )
})
