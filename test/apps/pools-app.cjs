// What a request has the threads of a pool do, and does not wait for.
const { createServer } = require('node:http')

module.exports = ({ Piscina, Tinypool, workerpool, FixedThreadPool }) => {
  const filename = require.resolve('./pools-app.cjs')
  const options = { filename, name: 'work', maxThreads: 3, minThreads: 0 }
  const piscina = new Piscina(options)
  const tinypool = new Tinypool(options)
  const named = workerpool.pool(require.resolve('./pools-workerpool.cjs'), { workerType: 'thread', maxWorkers: 3 })
  const fixed = new FixedThreadPool(3, require.resolve('./pools-poolifier.cjs'))
  const pools = {
    piscina: (how) => piscina.run(how, how === 'overtime' ? { signal: AbortSignal.timeout(100) } : {}),
    tinypool: (how) => tinypool.run(how),
    workerpool(how) {
      const run = named.exec('work', [how])
      if (how === 'unwanted') setTimeout(() => run.cancel(), 100).unref()
      return run
    },
    poolifier: (how) => fixed.execute(how),
  }
  process.on('unhandledRejection', () => {})
  const server = createServer((req, res) => {
    const [, pool, how] = req.url.split('/')
    void pools[pool](how)
    res.end('ok')
  }).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

module.exports.work = async (how) => {
  if (how === 'fails') throw new RangeError('of a thread')
  if (['hangs', 'overtime', 'unwanted'].includes(how)) await new Promise((resolve) => setTimeout(resolve, 600_000))
}
