// A server whose requests go well, fail, leave work that fails, crash the process, or are followed by a span of the app's own.
const { createServer, get } = require('node:http')
const { runTask } = require('afterspan')

const server = createServer((req, res) => {
  if (req.url === '/late') {
    res.end('promised', () => {
      runTask('late work', async () => {
        throw new RangeError('the work failed')
      }).catch(() => {})
    })
  } else if (req.url === '/call') {
    // Nobody listens on port 1.
    res.end('promised', () => get('http://127.0.0.1:1/').on('error', () => {}))
  } else if (req.url === '/fail') {
    res.statusCode = 500
    res.end()
  } else if (req.url.startsWith('/calls')) {
    // What was done for it: one call that goes well, one that does not, and then the answer.
    const { port } = server.address()
    get({ port, path: '/called' }, (called) => {
      called.resume().on('close', () => {
        get('http://127.0.0.1:1/').on('error', () => {
          setImmediate(() => {
            res.statusCode = req.url.endsWith('fail') ? 503 : 200
            res.end()
          })
        })
      })
    })
  } else if (req.url === '/crash') {
    throw new RangeError('the process ends')
  } else res.end('ok')
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
