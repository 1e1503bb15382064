// Six frameworks, each on a port of its own. Prints their names and ports.
module.exports = function start({ connect, polka, restify, trpc, graphql, apollo }) {
  const fails = () => new TypeError('no such thing')
  const listening = (name, server) =>
    server.listen(0, '127.0.0.1', () => console.log(`${name} ${server.address().port}`))

  const first = connect()
  first.use('/users', (req, res) => res.end('user'))
  first.use('/throws', () => {
    throw fails()
  })
  first.use('/hands-on', (req, res, next) => next(fails()))
  const answer = (res, status) => {
    res.statusCode = status // restify has a writeHead() of its own, for everybody
    res.end()
  }
  first.use('/hands-on', (error, req, res, next) => (req.url.includes('?') ? next(error) : answer(res, 422)))
  first.use((error, req, res, next) => (res.headersSent ? next(error) : answer(res, 500)))
  listening('connect', require('node:http').createServer(first))

  const users = polka().get('/users/:id', (req, res) => res.end('user'))
  const second = polka()
  second
    .get('/users/:id', (req, res) => res.end('user'))
    .get('/rejects', async () => {
      throw fails()
    })
    .get(
      '/hands-on',
      (req, res, next) => next(),
      (req, res, next) => next(fails()),
    )
    .use('/inner', users)
  second.listen(0, '127.0.0.1', () => console.log(`polka ${second.server.address().port}`))

  const third = restify.createServer()
  third.get('/users/:id', (req, res, next) => {
    res.send({ id: req.params.id })
    next()
  })
  third.get('/rejects', async () => {
    throw fails()
  })
  third.get('/hands-on', (req, res, next) => next(fails()))
  listening('restify', third)

  const { procedure, router } = trpc.initTRPC.create()
  const fourth = router({
    users: procedure.query(() => 'user'),
    rejects: procedure.query(async () => {
      throw fails()
    }),
    events: procedure.subscription(async function* () {
      yield 'first'
      throw fails()
    }),
    refused: procedure.subscription(async function* () {
      yield 'first'
      throw new trpc.TRPCError({ code: 'FORBIDDEN', message: 'no such thing' })
    }),
  })
  let heard = 0
  const handler = trpc.createHTTPHandler({ router: fourth, onError: () => void heard++ })
  const answerHeard = (req, res) => (req.url === '/heard' ? res.end(String(heard)) : handler(req, res))
  listening('trpc', require('node:http').createServer(answerHeard))

  const schema = graphql.buildSchema('type Query { good: String, rejects: String! }')
  const rootValue = {
    good: () => 'good',
    rejects: async () => {
      throw fails()
    },
  }
  const fifth = (req, res) => {
    const answered = graphql.graphql({ schema, source: `{ ${req.url.slice(1)} }`, rootValue })
    answered.then((result) => res.end(JSON.stringify(result)))
  }
  listening('graphql', require('node:http').createServer(fifth))

  const sixth = new apollo.ApolloServer({ typeDefs: 'type Query { good: String }', csrfPrevention: false })
  const context = async ({ req }) => {
    if (req.url.includes('unknown')) throw fails()
    return {}
  }
  apollo
    .startStandaloneServer(sixth, { context, listen: { port: 0, host: '127.0.0.1' } })
    .then(({ url }) => console.log(`apollo ${new URL(url).port}`))
}
