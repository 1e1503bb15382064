// As many listeners as Node takes without a word, on everything that a request is made of, over HTTP/1 and HTTP/2.
const http = require('node:http')
const http2 = require('node:http2')

function fill(emitter, event) {
  while (emitter.listenerCount(event) < 10 + Number(process.env.OURS ?? 0)) emitter.on(event, () => {})
}
const first = http.createServer((req, res) => {
  fill(res, 'close')
  res.end('ok')
})
const second = http2.createServer()
second.on('stream', (stream) => {
  fill(stream, 'close')
  stream.respond({ ':status': 200 })
  stream.end('ok')
})
first.listen(0, '127.0.0.1', () => {
  const request = http.get({ port: first.address().port, agent: false }, (response) => {
    response.resume().on('close', () => second.listen(0, '127.0.0.1', ask))
    fill(response, 'close')
    fill(response, 'end')
  })
  fill(request, 'close')
})
function ask() {
  const session = http2.connect(`http://127.0.0.1:${second.address().port}`)
  const stream = session.request({ ':path': '/' })
  stream.resume().on('close', () => {
    session.close()
    second.close()
    first.close()
    console.log('done')
  })
}
