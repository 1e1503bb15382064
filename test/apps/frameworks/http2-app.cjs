const certificate = require('./certificate.cjs')
const { later, traceHere } = require('./here.cjs')

/** HTTP/2 by its compatibility API and by streams, and HTTP/1 on the same secure port. */
module.exports = function start(http2, https) {
  const plain = http2.createServer((req, res) => (req.url.startsWith('/asks') ? ask(req, res) : answer(req, res)))
  const streams = http2.createServer()
  streams.on('stream', async (stream, headers) => {
    if (headers[':path'] === '/fails') {
      stream.on('error', () => {}).destroy(new TypeError('no such thing'))
      return
    }
    await later(5)
    stream.respond({ ':status': 200 })
    stream.end(traceHere())
  })
  const secure = http2.createSecureServer({ ...certificate, allowHTTP1: true }, answer)
  const tls = https.createServer(certificate, answer)
  /** By a session of its own: first while it connects, then once more. */
  const ask = (req, res) => {
    const session = http2.connect(`http://127.0.0.1:${ports.streams}`).on('error', () => {})
    const headers = { ':path': '/?token=secret', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` }
    session
      .request(headers)
      .resume()
      .on('close', () => {
        const stream = session.request([':path', '/fails', ':method', 'GET'])
        stream.on('error', () => {})
        stream.on('close', () => {
          session.close()
          res.end(headers.traceparent)
        })
      })
  }
  const servers = { plain, streams, secure, tls }
  const ports = {}
  for (const [name, server] of Object.entries(servers))
    server.listen(0, '127.0.0.1', () => {
      ports[name] = server.address().port
      if (Object.keys(ports).length === 4) console.log(`listening ${JSON.stringify(ports)}`)
    })
}

async function answer(req, res) {
  if (req.url.startsWith('/hangs')) {
    console.log('hanging')
    return
  }
  if (req.method === 'POST') {
    const chunks = []
    req.on('data', (chunk) => chunks.push(chunk))
    req.on('end', () => res.end(`${traceHere()} ${chunks.join('')}`))
    return
  }
  await later(Number(new URL(req.url, 'http://x').searchParams.get('ms') ?? 0))
  res.statusCode = req.url === '/fails' ? 503 : 200
  res.end(traceHere())
}
