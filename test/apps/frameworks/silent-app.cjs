// Frameworks that answer 500 without a word to anybody, each on a port of its own. Prints their names and ports.
const { createServer } = require('node:http')

module.exports = function start({
  findMyWay,
  zero,
  restana,
  itty,
  whatwg,
  elysia,
  elysiaNode,
  moleculer,
  moleculerWeb,
  orpc,
  h3,
}) {
  const say = (name, port) => console.log(`${name} ${port}`)
  const listening = (name, server) => server.listen(0, '127.0.0.1', () => say(name, server.address().port))
  const fails = () => new TypeError('no such thing')
  // Each framework has handlers of its own, as apps do.
  const throwing = () => () => {
    throw fails()
  }
  const rejecting = () => async () => {
    await Promise.resolve()
    throw fails()
  }
  const handsOn = (req, res, next) => next(fails())
  const answers = (req, res) => res.end('user')

  const notFound = (req, res) => {
    res.statusCode = 404
    res.end()
  }
  const first = findMyWay({ defaultRoute: notFound })
  first.on('GET', '/users/:id', answers)
  first.on('GET', '/throws/:id', throwing())
  first.on('GET', '/rejects/:id', rejecting())
  const fail = (res) => {
    res.statusCode = 500
    res.end()
  }
  const looksUp = (req, res) => {
    try {
      Promise.resolve(first.lookup(req, res)).catch(() => fail(res))
    } catch {
      fail(res)
    }
  }
  listening('find-my-way', createServer(looksUp))

  const { router: second, server } = zero()
  second.get('/users/:id', answers)
  second.get('/throws/:id', throwing())
  second.get('/rejects/:id', rejecting())
  second.get('/hands-on/:id', (req, res, next) => next(), handsOn)
  listening('0http', server)

  const third = restana()
  third.get('/users/:id', answers).get('/throws/:id', throwing()).get('/rejects/:id', rejecting())
  third.use('/inner', third.newRouter().get('/hands-on/:id', handsOn).get('/users/:id', answers))
  third.start(0, '127.0.0.1').then((started) => say('restana', started.address().port))

  const fourth = itty.AutoRouter({ base: '/v1' })
  fourth
    .all('*', () => {})
    .get('/users/:id', () => 'user')
    .get('/throws/:id', throwing())
    .get('/rejects/:id', rejecting())
  listening('itty-router', createServer(whatwg.createServerAdapter(fourth.fetch)))

  listening(
    'whatwg',
    createServer(whatwg.createServerAdapter((q) => (/users/.test(q.url) ? new Response() : rejecting()()))),
  )

  const port = 20_000 + (process.pid % 10_000)
  const sixth = new elysia.Elysia({ adapter: elysiaNode.node() })
  sixth
    .get('/users/:id', () => 'user')
    .get('/throws/:id', throwing())
    .get('/rejects/:id', rejecting())
    .get('/yields', function* () {
      yield 'first'
      yield 'last'
    })
    .get('/breaks', async function* () {
      yield 'first'
      throwing()()
    })
  // What breaks goes there.
  console.warn = () => {}
  sixth.listen({ port, hostname: '127.0.0.1' }, () => say('elysia', port))

  const broker = new moleculer.ServiceBroker({ logger: false })
  broker.createService({ name: 'users', actions: { get: () => 'user', throws: throwing(), rejects: rejecting() } })
  const aliases = { 'GET users/:id': 'users.get', 'GET throws/:id': 'users.throws', 'GET rejects/:id': 'users.rejects' }
  const settings = { port: 0, ip: '127.0.0.1', routes: [{ path: '/v1', aliases }] }
  const seventh = broker.createService({ mixins: [moleculerWeb], settings })
  broker.start().then(() => say('moleculer-web', seventh.server.address().port))

  const refuses = () => {
    throw new orpc.ORPCError('NOT_FOUND')
  }
  const yields = (fail) =>
    async function* () {
      yield 'first'
      fail()
    }
  const handlers = {
    users: () => 'user',
    rejects: rejecting(),
    refuses,
    events: yields(throwing()),
    refused: yields(refuses),
    whole: yields(() => {}),
  }
  const procedures = Object.fromEntries(Object.entries(handlers).map(([name, fn]) => [name, orpc.os.handler(fn)]))
  const eighth = new orpc.RPCHandler(procedures, { strictGetMethodPluginEnabled: false })
  listening(
    'orpc',
    createServer((req, res) => {
      eighth.handle(req, res).catch(() => fail(res))
    }),
  )

  const ninth = new h3.H3({ silent: true })
  const inner = new h3.H3()
  inner.get('/users/:id', () => 'user')
  ninth
    .get('/users/:id', () => 'user')
    .get('/throws/:id', throwing())
    .get('/rejects/:id', rejecting())
    .get('/refuses/:id', () => {
      throw new h3.HTTPError({ status: 503, message: 'no such thing' })
    })
    .mount('/inner', inner)
    // This app has the end of the route alone.
    .all('/below/**', h3.withBase('/below', inner))
  listening('h3', createServer(h3.toNodeHandler(ninth)))
}
