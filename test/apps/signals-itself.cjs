// argv[2]: the signal that the app sends to itself, at SIGUSR2, when it has served a request; argv[3] 'handled': once more, in its own
// handler of it, when it has closed.
const http = require('node:http')
const [, , signal, how] = process.argv
const server = http.createServer((req, res) => res.end('ok'))
const end = () => {
  process.kill(process.pid, signal)
  console.log('went on')
  if (how !== 'handled') process.exit(3)
}
server.listen(0, '127.0.0.1', () => {
  http.get({ port: server.address().port, agent: false }, (response) => {
    response.resume().on('close', () => {
      process.once('SIGUSR2', () => {
        if (how !== 'handled') return end()
        process.once(signal, () => server.close(end))
        process.kill(process.pid, signal)
      })
      console.log('served')
    })
  })
})
