// Handshakes as libraries of WebSockets make them: the answer is written to the socket, and the connection goes on.
const http = require('node:http')

const ANSWER = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n'
const server = http.createServer((req, res) => res.end('plain'))
const open = new Set()

function onUpgrade(req, socket) {
  socket.on('error', () => {})
  if (req.url === '/refused') {
    socket.once('finish', socket.destroy)
    return socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  }
  if (req.url === '/breaks') return socket.destroy()
  open.add(socket)
  socket.write(req.url === '/bytes' ? Buffer.from(ANSWER) : ANSWER)
  socket.on('data', (chunk) => {
    if (String(chunk) === 'throw') throw new TypeError('no such message')
    if (String(chunk) === 'bye') return socket.end('bye')
    http.get({ port: server.address().port, path: '/other', agent: false }, (response) =>
      response.resume().on('end', () => socket.write(`echo ${chunk}`)),
    )
  })
}
server.on('upgrade', onUpgrade)
console.log(`its own listener: ${server.listeners('upgrade')[0] === onUpgrade}`)
server.off('upgrade', onUpgrade)
console.log(`taken away: ${server.listenerCount('upgrade') === 0}`)
server.on('upgrade', onUpgrade)
server.once('connect', (req, socket) => {
  socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
  socket.end('tunnel')
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
