// Middleware at the root answers most of it.
const express = require(process.argv[2])

const app = express()
app.get('/routed/:id', (req, res) => res.send('routed'))
app.use('/below', (req, res) => res.send('below'))
app.use((req, res, next) => {
  if (req.path.startsWith('/refused')) return res.status(401).end()
  if (req.path.startsWith('/fails')) throw new TypeError('no such thing')
  return req.path.startsWith('/users') ? res.send('answered') : next()
})
app.use((error, req, res, next) => (res.headersSent ? next(error) : res.status(500).end())) // prettier-ignore
const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
