// An app with Sentry, whose call after the response fails, and whose rejection nobody handles. Shared by both forms of the app.
const { createServer, get } = require('node:http')

module.exports = function start(sentry) {
  if (process.env.SENTRY_INIT !== 'no') sentry.init()
  process.on('unhandledRejection', (error) => console.log(`unhandled ${error.message}`))
  const server = createServer((req, res) => {
    if (req.url === '/call') res.end('promised', () => get('http://127.0.0.1:1/').on('error', () => {}))
    else if (req.url === '/reject') res.end('promised', () => void Promise.reject(new RangeError('nobody cares')))
    else if (req.url === '/end') res.setHeader('connection', 'close').end(() => server.close())
    else res.end()
  }).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
