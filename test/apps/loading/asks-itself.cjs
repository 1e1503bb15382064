// Says whether it is watched.
const http = require('node:http')

const server = http
  .createServer((req, res) => res.end())
  .listen(0, '127.0.0.1', () => {
    http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (res) => {
      console.log(res.headers.traceresponse ? 'watched' : 'left alone')
      server.close()
    })
  })
