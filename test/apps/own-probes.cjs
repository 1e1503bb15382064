// A service with a loop in the background, whose thread pool can be taken by files that nobody writes to.
const { execFileSync } = require('node:child_process')
const { closeSync, mkdtempSync, open, openSync, rmSync } = require('node:fs')
const { createServer } = require('node:http')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { health } = require('afterspan')

const folder = mkdtempSync(join(tmpdir(), 'afs-fifo-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const fifos = [1, 2, 3, 4].map((n) => join(folder, `fifo-${n}`))
execFileSync('mkfifo', fifos)
const loop = health.heartbeat('mailer', { everyMs: 500 })
const beat = () => {
  clearInterval(beat.timer)
  beat.timer = setInterval(() => loop.beat(), 100)
}
beat()
const actions = {
  '/hang': () => fifos.forEach((fifo) => open(fifo, 'r', () => {})),
  // Whoever opens both ends waits for nobody, and lets the others in.
  '/free': () => fifos.forEach((fifo) => closeSync(openSync(fifo, 'r+'))),
  '/stop': () => clearInterval(beat.timer),
  '/beat': beat,
}
const server = createServer((req, res) => {
  actions[req.url]?.()
  res.end('done')
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
