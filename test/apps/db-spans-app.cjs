// A service that asks PostgreSQL and Redis in each of the ways that their clients have. Each way says in whose trace its callback ran.
const { context, createContextKey, trace } = require('@opentelemetry/api')

const SUPPRESSED = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')
const traceHere = () => trace.getActiveSpan()?.spanContext().traceId ?? 'none'
/** What a callback of Node's form is given, and where it ran. */
const called = (ask) =>
  new Promise((resolve) => {
    ask((error, result) => resolve({ error: error?.message, rows: result?.rows, at: traceHere() }))
  })
const said = (asked) =>
  asked.then(
    ({ rows }) => ({ rows }),
    ({ message }) => ({ error: message }),
  )
const suppressed = (ask) => context.with(context.active().setValue(SUPPRESSED, true), ask)
Object.assign(exports, { called, said, suppressed })

exports.start = async function start({ http, open, ways }) {
  await open?.()
  const server = http.createServer(async (request, response) => {
    const own = traceHere()
    const before = Date.now()
    try {
      const answers = await ways[request.url]()
      const strays = [answers].flat().filter((answer) => answer?.at !== undefined && answer.at !== own).length
      response.end(JSON.stringify({ answers, strays }, (key, value) => (key === 'at' ? undefined : value)))
    } catch (error) {
      response.statusCode = 500
      response.end(`${Date.now() - before} ms: ${error.stack}`)
    }
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

exports.pgWays = function pgWays({ pg, url }) {
  const pool = new pg.Pool({ connectionString: url, max: 2, idleTimeoutMillis: 60_000 })
  const refused = { host: '127.0.0.1', port: 1, user: 'nobody', database: 'nowhere' }
  const nowhere = new pg.Pool(refused)
  const ONE = 'SELECT $1::int AS one'
  const withClient = async (use) => {
    const client = await pool.connect()
    try {
      return await use(client)
    } finally {
      client.release()
    }
  }
  // What nobody asked for is no trace.
  setInterval(() => pool.query('SELECT 0'), 50).unref()
  const events = (client, query) =>
    new Promise((resolve) => {
      let rows = 0
      query.on('row', () => rows++)
      query.on('end', () => resolve({ rows }))
      query.on('error', ({ message }) => resolve({ error: message }))
      if (client.query(query) !== query) resolve({ error: 'another query came back' })
    })
  return {
    // Both of the connections that there may be: none is made later, in somebody's request.
    open: () => Promise.all([pool.query('SELECT pg_sleep(0.1)'), pool.query('SELECT pg_sleep(0.1)')]),
    ways: waysOf(),
  }
  function waysOf() {
    return {
      '/pool': async () => [
        await said(pool.query(ONE, [1])),
        await called((then) => pool.query('select 2 as two;', then)),
      ],
      '/pool-config': () => said(pool.query({ text: ONE, values: [3] })),
      '/pool-callback': () =>
        new Promise((resolve) => {
          pool.connect((error, client, release) => {
            const at = traceHere()
            client.query(ONE, [4], (_, { rows }) => {
              release()
              resolve([{ at }, { rows, at: traceHere() }])
            })
          })
        }),
      '/client': () =>
        withClient(async (client) => {
          const config = { text: ONE, values: [7] }
          const own = (config.callback = () => {})
          const before = await said(client.query({ text: ONE, name: 'one', values: [5] }))
          const answers = [
            before,
            await said(client.query({ text: '  with x as (select 6) table x' }, [])),
            await called((then) => client.query({ text: ONE, values: [8] }, then)),
            await called((callback) => client.query({ text: ONE, values: [9], callback })),
            await called((then) => client.query('SELECT\n10 AS ten', then)),
            await called((then) => client.query(new pg.Query(ONE, [11]), then)),
            await called((then) => client.query(new pg.Query({ text: ONE, values: [12], callback: then }))),
          ]
          client.query(config)
          await client.query('')
          // What the app gave is as it was: a config is used again and again.
          return [...answers, { isKept: config.callback === own }]
        }),
      '/events': () =>
        withClient(async (client) => [
          await events(client, new pg.Query(ONE, [13])),
          await events(client, new pg.Query('SELECT nonsense')),
        ]),
      '/errors': () =>
        withClient(async (client) => {
          const thrown = (ask) => {
            try {
              return ask()
            } catch ({ message }) {
              return { error: message }
            }
          }
          return [
            await said(client.query('SELECT nonsense')),
            await said(client.query('SELECT 1/$1::int', [0])),
            await called((then) => client.query('SELECT 1/$1::int', [0], then)),
            thrown(() => client.query(null)),
          ]
        }),
      // A question that nobody waits for: its failure is unhandled, once, as it is without us.
      '/unhandled': () =>
        withClient((client) => {
          void client.query('SELECT 1/0')
          return new Promise((resolve) => {
            process.once('unhandledRejection', ({ message }) => resolve({ error: message }))
          })
        }),
      '/connect': async () => {
        const promised = new pg.Client({ connectionString: url })
        await promised.connect()
        const first = await said(promised.query('SELECT 14 AS n'))
        await promised.end()
        const client = new pg.Client({ connectionString: url })
        const second = await called((then) => client.connect(then))
        await client.end()
        return [
          first,
          second,
          await said(new pg.Client(refused).connect()),
          await called((then) => new pg.Client(refused).connect(then)),
          await said(nowhere.query('SELECT 15')),
        ]
      },
      '/suppressed': () => suppressed(() => said(pool.query('VALUES (16)'))),
    }
  }
}

exports.redisWays = function redisWays({ Redis, port }) {
  const redis = new Redis(port, '127.0.0.1')
  redis.defineCommand('twice', { numberOfKeys: 1, lua: 'return redis.call("incrby", KEYS[1], ARGV[1] * 2)' })
  // What nobody asked for is no trace.
  setInterval(() => redis.get('poll'), 50).unref()
  const heard = (asked) =>
    asked.then(
      (result) => ({ result }),
      ({ message }) => ({ error: message }),
    )
  const calledWith = (ask) =>
    new Promise((resolve) => {
      ask((error, result) => resolve({ ...(error ? { error: error.message } : { result }), at: traceHere() }))
    })
  const lost = { host: '127.0.0.1', port: 1, lazyConnect: true, retryStrategy: null }
  return {
    open: async () => {
      await redis.flushall()
      await redis.set('number', 1)
    },
    ways: {
      '/commands': async () => [
        await heard(redis.set('key', 'secret', 'EX', 100)),
        await heard(redis.get('key')),
        await heard(redis.hset('hash', 'field', 'secret', 'other', 'secret')),
        await heard(redis.mget('key', Buffer.from('none'))),
        await heard(redis.ping()),
        await heard(redis.call('GETRANGE', 'key', 0, 2)),
        await calledWith((then) => redis.strlen('key', then)),
        { result: (await redis.getBuffer('key')).toString() },
      ],
      '/errors': async () => [
        await heard(redis.incr('key')),
        await calledWith((then) => redis.lpush('key', 'secret', then)),
        await heard(redis.call('NONSENSE', 'secret')),
      ],
      '/together': async () => [
        {
          results: await redis
            .pipeline()
            .set('a', 1)
            .incr('key')
            .exec()
            .then((all) => all.map(([error, result]) => error?.message ?? result)),
        },
        { results: await redis.multi().set('b', 2).get('b').exec() },
      ],
      '/script': async () => [await heard(redis.twice('number', 3)), await heard(redis.twice('number', 4))],
      '/connect': async () => {
        const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true })
        await client.connect()
        const lazy = new Redis({ host: '127.0.0.1', port, lazyConnect: true })
        const answers = [await heard(client.get('key')), await heard(lazy.get('key')), await heard(client.quit())]
        lazy.disconnect()
        const refused = new Redis(lost)
        refused.on('error', () => {})
        return [...answers, await heard(refused.get('key'))]
      },
      '/closed': async () => {
        const client = new Redis({ host: '127.0.0.1', port })
        await client.quit()
        await new Promise((resolve) => (client.status === 'end' ? resolve() : client.once('end', resolve)))
        return heard(client.get('key'))
      },
      // A command that nobody waits for: its failure is unhandled, once, as it is without us.
      '/unhandled': () => {
        void redis.incr('key')
        return new Promise((resolve) => {
          process.once('unhandledRejection', ({ message }) => resolve({ error: message }))
        })
      },
      '/suppressed': () => suppressed(() => heard(redis.get('key'))),
    },
  }
}

exports.nodeRedisWays = function nodeRedisWays({ createClient, url }) {
  const redis = createClient({ url, RESP: 2 })
  const heard = (asked) =>
    asked.then(
      (result) => ({ result }),
      ({ message }) => ({ error: message }),
    )
  return {
    open: async () => {
      await redis.connect()
      await redis.flushAll()
      setInterval(() => redis.get('poll'), 50).unref()
    },
    ways: {
      '/commands': async () => [
        await heard(redis.set('key', 'secret', { expiration: { type: 'EX', value: 100 } })),
        await heard(redis.get('key')),
        await heard(redis.hSet('hash', 'field', 'secret')),
        await heard(redis.sendCommand(['GETRANGE', 'key', '0', '2'])),
        await heard(redis.incr('key')),
      ],
      '/together': async () => [
        await heard(redis.multi().set('a', 'secret').get('a').exec()),
        await heard(redis.multi().get('a').get('a').execAsPipeline()),
        await heard(redis.multi().get('a').incr('key').exec()),
      ],
      '/closed': async () => {
        const client = createClient({ url })
        return heard(client.get('key'))
      },
      '/unhandled': () => {
        void redis.incr('key')
        return new Promise((resolve) => {
          process.once('unhandledRejection', ({ message }) => resolve({ error: message }))
        })
      },
      '/suppressed': () => suppressed(() => heard(redis.get('key'))),
    },
  }
}
