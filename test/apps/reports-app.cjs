// A server whose work fails or that crashes, and that prints what its callbacks are told. Shared by the CommonJS and the ESM form.
const { createServer } = require('node:http')

const fail = async () => {
  throw new RangeError('the work failed')
}
const CALLBACKS = {
  throws() {
    throw new TypeError('the callback failed')
  },
  rejects: async () => {
    throw new TypeError('the callback failed')
  },
  odd() {
    throw Object.create(null)
  },
  // Of work that fails too: it must not be told, or it would never end.
  works: (runTask) => runTask('work of the callback', fail),
  hangs: () => new Promise(() => {}),
}

module.exports = function start({ onReport, runTask, safeHandler }) {
  for (const name of (process.env.CALLBACKS ?? '').split(',').filter(Boolean)) onReport(() => CALLBACKS[name](runTask))
  const end = onReport((incident) => console.log(`told ${JSON.stringify(incident)}`))
  const paths = {
    '/safe': safeHandler(async () => fail()),
    '/safe-late': safeHandler((res) => {
      res.write('begun')
      throw new RangeError('the work failed')
    }),
    '/late': (res) => res.end('promised', () => runTask('late work', fail).catch(() => {})),
    '/hangs': (res) => res.end('promised', () => runTask('late work', () => new Promise(() => {}))),
    '/hangs-12': (res) =>
      res.end('promised', () => {
        for (let n = 0; n < 12; n++) void runTask('late work', () => new Promise(() => {}))
      }),
    '/well': (res) => res.end('promised', () => runTask('late work', async () => {})),
    '/crash': () => {
      throw new RangeError('the process ends')
    },
    '/late-crash': (res) =>
      res.end('promised', () => {
        throw new RangeError('the process ends')
      }),
    '/end': (res) => {
      end()
      res.end()
    },
  }
  const server = createServer((req, res) => (paths[req.url] ?? paths['/well'])(res)).listen(0, '127.0.0.1', () =>
    console.log(`listening ${server.address().port}`),
  )
}
