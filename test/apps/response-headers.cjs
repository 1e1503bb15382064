// Every way to write the head of a response. Prints what Node itself says of it where it refuses.
const http = require('node:http')

const ways = {
  pairs: (res) => res.writeHead(200, [['x-a', '1'], ['x-a', '2'], ['Set-Cookie', 'c']]), // prettier-ignore
  list: (res) => res.writeHead(200, ['x-a', '1', 'x-a', '2', 'Set-Cookie', 'c', 'set-cookie', 'd']),
  cases: (res) => res.writeHead(200, { 'Set-Cookie': 'a', 'set-cookie': 'b' }),
  reason: (res) => res.writeHead(200, 'Fine', { 'x-a': ['1', '2'] }),
  set: (res) => res.setHeader('X-B', '1').writeHead(200, { 'x-a': '1' }),
  names: (res) => res.setHeader('x-names', String(res.getHeaderNames())),
  removed: (res) => {
    res.setHeader('x-a', '1')
    for (const name of res.getHeaderNames()) res.removeHeader(name)
  },
  mine: (res) => res.writeHead(200, { traceresponse: 'mine' }),
  'mine-in-a-list': (res) => res.writeHead(200, ['TraceResponse', 'mine']),
  'mine-set': (res) => res.setHeader('traceresponse', 'mine'),
  timing: (res) => res.setHeader('server-timing', 'db;dur=5'),
  empty: (res) => res.writeHead(204),
  odd: (res) => res.writeHead(200, ['x-a']),
  nothing() {},
}
const server = http.createServer((req, res) => {
  res.sendDate = false
  try {
    ways[req.url.slice(1)](res)
  } catch (error) {
    res.setHeader('x-refused', error.code)
  }
  res.end()
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
