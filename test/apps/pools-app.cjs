// What a request has the threads of a pool do, and does not wait for.
const { createServer } = require('node:http')

module.exports = ({ Piscina, Tinypool }) => {
  const filename = require.resolve('./pools-app.cjs')
  const options = { filename, name: 'work', maxThreads: 3, minThreads: 0 }
  const pools = { piscina: new Piscina(options), tinypool: new Tinypool(options) }
  process.on('unhandledRejection', () => {})
  const server = createServer((req, res) => {
    const [, pool, how] = req.url.split('/')
    void pools[pool].run(how)
    res.end('ok')
  }).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

module.exports.work = async (how) => {
  if (how === 'fails') throw new RangeError('of a thread')
  if (how === 'hangs') await new Promise((resolve) => setTimeout(resolve, 600_000))
}
