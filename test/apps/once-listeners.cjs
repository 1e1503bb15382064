// Listeners that are to be called once, on what a server gives to its app; it says how many are left, and whether a second handshake is
// a request like any other, as it is where nobody listens for one any more.
const http = require('node:http')
const net = require('node:net')

const left = {}
const server = http.createServer((req, res) => {
  if (req.headers.upgrade) return res.end('no upgrade')
  let times = 0
  const next = () => req.once('data', () => ++times < 12 && next())
  next()
  req.prependOnceListener('end', () => {
    left.data = req.listenerCount('data')
    left.end = req.listenerCount('end')
    res.end('ok')
  })
})
server.once('upgrade', (_req, socket) => {
  left.upgrade = server.listenerCount('upgrade')
  socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n')
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address()
  const request = http.request({ port, method: 'POST', agent: false }, (response) =>
    response.resume().on('end', () => shake(port, (first) => shake(port, (second) => done([first, second])))),
  )
  const more = (n) => (n === 0 ? request.end() : request.write('x', () => setImmediate(more, n - 1)))
  more(40)
})
function shake(port, then) {
  const socket = net.connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n')
  socket.once('data', (data) => {
    socket.destroy()
    then(String(data).split('\r\n')[0])
  })
}
function done(answers) {
  console.log(JSON.stringify({ ...left, answers }))
  server.close()
}
