// A raw server whose responses end in ways that no handler planned. Prints the ports of HTTP/1, HTTP/2, and of HTTP/1 with a listener of 'clientError'.
const http = require('node:http')
const http2 = require('node:http2')
const { Readable, pipeline } = require('node:stream')

process.on('unhandledRejection', () => {})

function answer(req, res) {
  if (req.url.startsWith('/mounted/')) req.url = req.url.slice('/mounted'.length) // as Connect does, and polka
  if (req.url.startsWith('/body')) return void req.on('data', () => {})
  if (req.url === '/breaks') {
    res.write('the first half')
    setImmediate(() => res.destroy(new TypeError('no such thing')))
    return
  }
  if (req.url === '/rejects-nothing') {
    void Promise.reject()
    return setTimeout(() => res.writeHead(500).end(), 20)
  }
  if (req.url === '/rejects') return void Promise.reject(new TypeError('no such thing'))
  if (req.url === '/socket') {
    res.write('the first half')
    return setImmediate(() => req.socket.destroy(new TypeError('no such thing')))
  }
  if (req.url === '/ends-when-gone') {
    res.write('the first half')
    res.destroy()
    return res.end('the second half')
  }
  if (req.url === '/goes-before-the-end') {
    req.socket.on('close', () => res.end('the second half'))
    return res.write('the first half')
  }
  if (req.url === '/pipeline') {
    const source = new Readable({ read() {} })
    source.push('the first half')
    setImmediate(() => source.destroy(new TypeError('no such thing')))
    return pipeline(source, res, () => {})
  }
  if (req.url === '/cut-off') {
    res.writeHead(200, { 'content-length': 100 }).write('the first half')
    setImmediate(() => res.socket.end())
    return
  }
  if (req.url === '/asks' || req.url === '/gives-up') {
    const { port } = first.address()
    const request = http.get({ port, path: req.url === '/asks' ? '/cut-off' : '/half', agent: false }, (response) => {
      response.on('error', () => {}).on('close', () => res.end())
      if (req.url === '/asks') response.resume()
      else request.destroy()
    })
    request.on('error', () => {})
    return
  }
  if (req.url === '/too-slow') {
    // As AbortSignal.timeout() does, but not before the answer has begun.
    const slow = new AbortController()
    fetch(`http://127.0.0.1:${first.address().port}/half`, { signal: slow.signal })
      .then((response) => {
        slow.abort(new DOMException('it takes too long', 'TimeoutError'))
        return response.text()
      })
      .catch(() => res.end())
    return
  }
  if (req.url === '/detached') {
    const { socket } = res
    res.detachSocket(socket)
    socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi')
    return
  }
  if (req.url === '/changes') {
    console.error(new TypeError('no such thing'))
    res.writeHead(500)
    res.statusCode = 404
    console.error(new Error('Cannot set headers after they are sent to the client'))
  }
  if (req.url.startsWith('/says/')) {
    // As a framework that nobody knows does it.
    const [, , status, how] = req.url.split('/')
    const error = new TypeError('no such thing')
    console.error('failed:', how === 'text' ? `12:00:00 [ERROR] ${error.stack}` : error)
    if (how === 'around') console.error(Object.assign(new Error('H3', { cause: error }), { unhandled: true }))
    if (how === 'then') console.error(Object.assign(new Error('Unexpected Server Error'), { stack: undefined }))
    res.statusCode = Number(status)
  }
  if (req.url === '/events') {
    res.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' })
    return res.write('data: 1\n\n') // and so on
  }
  if (req.url === '/half') return res.write('the first half') // and never more
  res.end()
}

const first = http.createServer({ requestTimeout: 200, headersTimeout: 100, connectionsCheckingInterval: 50 }, answer)
const third = http.createServer({ requestTimeout: 200, connectionsCheckingInterval: 50 }, answer)
third.on('clientError', (error, socket) => socket.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'))
const second = http2.createServer()
second.on('stream', (stream, headers) => {
  const type = headers[':path'] === '/events2' ? { 'content-type': 'text/event-stream' } : {}
  stream.on('error', () => {}).respond({ ':status': 200, ...type })
  if (headers[':path'] === '/whole') return stream.end('all of it')
  if (headers[':path'] === '/given-up') return stream.close(http2.constants.NGHTTP2_CANCEL)
  if (headers[':path'] === '/too-long') return stream.setTimeout(60, () => stream.close(http2.constants.NGHTTP2_CANCEL))
  stream.write('the first half')
  if (headers[':path'] === '/reset' || headers[':path'] === '/events2') return
  setImmediate(() => stream.destroy())
})
first.listen(0, '127.0.0.1', () => {
  second.listen(0, '127.0.0.1', () => {
    third.listen(0, '127.0.0.1', () => {
      console.log(`listening ${[first, second, third].map((server) => server.address().port).join(' ')}`)
    })
  })
})
