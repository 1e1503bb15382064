// Routers in all the ways in which Express takes them.

module.exports = function start(express) {
  const app = express()
  const outer = express.Router({ mergeParams: true })
  const inner = express.Router()
  inner.get('/users/:id', (req, res) => res.json({}))
  inner.get('/throws', () => {
    throw new TypeError('no such thing')
  })
  outer.use('/v:version', inner)
  app.use('/api/:tenant', outer)
  app.use('/plain.d-e', inner)
  app.use(['/one', '/two/:x'], inner)
  app.use(/^\/re(gex)?/, inner)
  app.use('/handed/:over', (req, res, next) => inner(req, res, next))
  app.use('/gone/:by', (req, res) => res.destroy())
  const listed = express.Router()
  listed.get(['/listed', '/named/:z'], (req, res) => res.json({}))
  app.use((req, res, next) => listed(req, res, next))
  const mounted = express()
  mounted.get('/deep/:y', (req, res) => res.json({}))
  app.use('/app', mounted)
  app.use((error, req, res, next) => (res.headersSent ? next(error) : res.status(500).end())) // prettier-ignore
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
