// Headers as a list, one of them not to be compressed: prints what Node was told of it.
const http2 = require('node:http2')
const server = http2.createServer()
server.on('stream', (stream, headers) => {
  stream.respond({ ':status': 200 })
  stream.end(JSON.stringify(headers[http2.sensitiveHeaders]))
})
server.listen(0, '127.0.0.1', () => {
  const session = http2.connect(`http://127.0.0.1:${server.address().port}`)
  const headers = [':path', '/', 'secret', 'secret-value']
  headers[http2.sensitiveHeaders] = ['secret']
  session
    .request(headers)
    .setEncoding('utf8')
    .on('data', (text) => console.log(text))
    .on('close', () => {
      session.close()
      server.close()
    })
})
