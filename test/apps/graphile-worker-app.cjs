// A web service and a worker of Graphile Worker in one file: ROLE says which. The jobs do what their payload says.
const { EventEmitter } = require('node:events')
const { Pool } = require('pg')

/** A pool whose connections were opened in a context that is not to be traced, as our own probe of it does. One of them then listens. */
async function openedInSilence(connectionString) {
  const { context, createContextKey } = require('@opentelemetry/api')
  const pool = new Pool({ connectionString }).on('error', () => {})
  const key = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')
  const open = () => Promise.all([1, 2, 3, 4].map(() => pool.query('select pg_sleep(0.1)')))
  await context.with(context.active().setValue(key, true), open)
  return pool
}

module.exports = async function start({ express, graphile }) {
  const { Logger, makeWorkerUtils, parseCronItems, run } = graphile
  const settings = {
    connectionString: process.env.DATABASE_URL,
    logger: new Logger(() => () => {}),
    noHandleSignals: true,
    pollInterval: 200,
    concurrency: 2,
  }
  if (process.env.OPENED_BY_A_PROBE) {
    settings.pgPool = await openedInSilence(settings.connectionString)
    delete settings.connectionString
  }
  const utils = await makeWorkerUtils(settings)
  await utils.migrate()
  if (process.env.ROLE === 'worker') {
    if (process.env.UNLOCK) {
      const { rows } = await utils.withPgClient((client) =>
        client.query('select distinct locked_by from graphile_worker._private_jobs where locked_by is not null'),
      )
      await utils.forceUnlockWorkers(rows.map(({ locked_by }) => locked_by))
    }
    if (process.env.CRON)
      await utils.withPgClient((client) =>
        client.query(
          "insert into graphile_worker._private_known_crontabs (identifier, known_since) values ('each minute', now() - interval '90 seconds') on conflict (identifier) do update set last_execution = null",
        ),
      )
    const each = { task: 'mail', match: () => true, identifier: 'each minute', options: { backfillPeriod: 60_000 } }
    const events = new EventEmitter()
    events.on('pool:create', ({ workerPool }) => {
      process.once('SIGTERM', () => workerPool.forcefulShutdown('going down').finally(() => process.exit(0)))
    })
    events.on('job:start', ({ job }) => {
      if (job.payload.loud) console.log(`event ${JSON.stringify([job.payload, job.flags])}`)
    })
    await run({
      ...settings,
      events,
      taskList: { mail, batch },
      parsedCronItems: parseCronItems(process.env.CRON ? [each] : []),
    })
    console.log('ready')
    return
  }
  async function mail(payload, helpers) {
    console.log(`job ${JSON.stringify(payload)}`)
    if (payload !== helpers.job.payload) throw new Error('two payloads')
    if (payload.spawns) await helpers.addJob('mail', { child: true })
    if (payload.fails) throw new TypeError('the mail server said no')
    if (payload.hangs && !process.env.FAST) await new Promise(() => setInterval(() => {}, 1000))
  }
  function batch(payloads) {
    return payloads.map(async ({ bad }) => {
      if (bad && !process.env.FAST) throw new RangeError('a bad one')
    })
  }
  const pool = new Pool({ connectionString: process.env.DATABASE_URL }).on('error', () => {})
  /** As the library's own pages have it: with what else the app writes, or not at all. */
  async function bySql(end) {
    const client = await pool.connect()
    await client.query('begin')
    const { rows } = await client.query('select id from graphile_worker.add_job($1, $2)', ['mail', { n: 6 }])
    await client.query(end)
    client.release()
    return rows
  }
  const ways = {
    sql: () => bySql('commit'),
    rolledback: () => bySql('rollback'),
    succeeds: () => utils.addJob('mail', { loud: true, n: 1 }, { flags: ['own'] }),
    empty: () => utils.addJob('mail'),
    spawns: () => utils.addJob('mail', { spawns: true }),
    fails: () => utils.addJob('mail', { fails: true }, { maxAttempts: 2 }),
    hangs: () => utils.addJob('mail', { hangs: true }),
    refused: () => utils.addJob('mail', {}, { jobKey: 'x', jobKeyMode: 'wrong' }),
    many: () => utils.addJobs([1, 2, 3].map((n) => ({ identifier: 'mail', payload: { n } }))),
    batch: () => utils.addJob('batch', [{}, { bad: true }], { maxAttempts: 2 }),
    later: () => utils.addJob('mail', { n: 2 }, { jobKey: 'same', runAt: new Date(Date.now() + 3_600_000) }),
    deduped: () => utils.addJob('mail', { n: 3 }, { jobKey: 'same', jobKeyMode: 'unsafe_dedupe' }),
    removed: async () => utils.completeJobs([(await utils.addJob('nobody', { n: 4 })).id]),
    buried: async () => utils.permanentlyFailJobs([(await utils.addJob('nobody', { n: 5 })).id], 'no use'),
  }
  const app = express()
  app.get('/send/:how', async (req, res) => {
    try {
      res.json(await ways[req.params.how]())
    } catch (error) {
      res.status(200).json({ code: error.code })
    }
  })
  app.get('/hurry/:id', async (req, res) => {
    res.json(await utils.rescheduleJobs([req.params.id], { runAt: new Date() }))
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
