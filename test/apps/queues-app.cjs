// Two requests that meet in a queue of the app's. The first one's work holds it until the second one's waits there too, which then fails.
const { AsyncResource } = require('node:async_hooks')
const { createServer } = require('node:http')

module.exports = ({
  fastq,
  async,
  asyncQueue,
  Bottleneck,
  AsyncLock,
  DataLoader,
  Bluebird,
  mysql2,
  lodash,
  debounceFile,
  debounceModule,
  rxjs,
}) => {
  const failing = (act) => () => {
    throw new RangeError(`of the second of ${act}`)
  }
  const rethrow = (error) => {
    if (error) throw error
  }
  /** A worker for work that is a function, and calls back from a timer: what is thrown there is caught by nobody. */
  const worker = (work, done) => {
    work().then(
      () => setTimeout(() => done(), 1),
      (error) => setTimeout(() => done(error), 1),
    )
  }
  const bare = (work, done) => void work(done)
  const limiter = new Bottleneck({ maxConcurrent: 1 })
  const lock = new AsyncLock()
  const queues = {
    fastq: fastq(worker, 1),
    throwing: fastq(bare, 1),
    rejecting: fastq(bare, 1),
    promised: fastq.promise((work) => work(), 1),
    async: async.queue(worker, 1),
    asyncOfPromises: async.queue((work) => work(), 1),
    priority: async.priorityQueue(async (work) => work(), 1),
    cargo: async.cargo(([work], done) => worker(work, done), 1),
    file: asyncQueue(worker, 1),
  }
  const call = (work) => work()
  const late = {
    debounce: lodash.debounce(call, 50),
    file: debounceFile(call, 50),
    module: debounceModule(call, 50),
    throttle: lodash.throttle(call, 50),
  }
  const subject = new rxjs.Subject()
  subject.pipe(rxjs.concatMap(call)).subscribe()
  const lazy = new rxjs.Subject()
  lazy.pipe(rxjs.concatMap((work) => rxjs.defer(work))).subscribe()
  const timed = {}
  for (const name of ['debounceTime', 'throttleTime', 'auditTime']) {
    timed[name] = new rxjs.Subject()
    const last = rxjs[name](50, undefined, { leading: false, trailing: true })
    timed[name].pipe(last).subscribe(call)
  }
  const memoized = async.memoize((key, callback) => held.memoize.promise.then(() => setTimeout(() => callback(), 1)))
  let batch
  const loader = new DataLoader(
    async (keys) => keys.map((key) => (key === 'second' ? new RangeError('of the second') : key)),
    {
      batchScheduleFn: (dispatch) => (batch = dispatch),
    },
  )
  let meet
  const meeting = new Bluebird((resolve) => (meet = resolve))
  const pool = []
  // One connection for both, and a server that answers the first one's question when the second one's waits.
  const readOnly = { name: 'read_only', orgName: 'read_only', characterSet: 33, columnLength: 1, columnType: 3 }
  Object.assign(readOnly, { catalog: 'def', schema: '', table: '', orgTable: '', flags: 0, decimals: 0 })
  const database = mysql2.createServer((client) => {
    client.serverHandshake({
      protocolVersion: 10,
      serverVersion: 'a fake',
      connectionId: 1,
      statusFlags: 2,
      characterSet: 8,
      capabilityFlags: 0x00_ff_f7_df,
      authCallback: (_given, done) => {
        done(null)
        client.sequenceId = 0
      },
    })
    client.on('query', async (sql) => {
      if (sql === 'first') await held.mysql2.promise
      client.sequenceId = 1
      // What health asks it by itself.
      if (sql.includes('read_only')) client.writeTextResult([{ read_only: 0 }], [readOnly])
      else client.writeOk()
      client.sequenceId = 0
    })
  })
  let connections

  /** Each gives its work to a queue, and waits for nothing. */
  const acts = {
    fastq: (work) => queues.fastq.push(work, rethrow),
    // Thrown within the call that the first one's work makes when it is done.
    fastqThrows: (work, isFirst, fail) =>
      queues.throwing.push(isFirst ? (done) => held.fastqThrows.promise.then(() => setTimeout(() => done(), 1)) : fail),
    // The same in its promise: whose it is, nobody can say.
    fastqRejects: (work, isFirst, fail) =>
      queues.rejecting.push(
        isFirst
          ? async (done) => {
              await held.fastqRejects.promise
              done()
            }
          : fail,
      ),
    fastqPromise: (work) => void queues.promised.push(work).finally(() => {}),
    asyncQueue: (work) => queues.async.push(work, rethrow),
    asyncPromise: (work) => void queues.priority.pushAsync(work),
    asyncCargo: (work) => queues.cargo.push(work, rethrow),
    asyncFile: (work) => queues.file.push(work, rethrow),
    asyncMemoize: (work, isFirst, fail) => memoized('key', isFirst ? () => {} : fail),
    bottleneck: (work) => void limiter.schedule(work),
    asyncLock: (work) => void lock.acquire('key', work),
    dataloader: (_work, isFirst) => {
      void loader.load(isFirst ? 'first' : 'second')
      if (!isFirst) batch()
    },
    // Two wait for one promise, which the first one's code fulfils.
    bluebird: (_work, isFirst, fail) => {
      void meeting.then(isFirst ? () => {} : fail)
      if (isFirst) held.bluebird.promise.then(meet)
    },
    mysql2: (_work, isFirst, fail) => {
      connections ??= mysql2.createPool({
        port: database._server.address().port,
        host: '127.0.0.1',
        connectionLimit: 1,
      })
      connections.query(isFirst ? 'first' : 'second', isFirst ? () => {} : fail)
    },
    // What the first one's timer runs is the second one's; on a slow machine the first one's has run out before.
    debounce: (_work, isFirst, fail) => late.debounce(isFirst ? () => {} : () => setTimeout(() => fail(), 1)),
    debounceFile: (_work, isFirst, fail) => late.file(isFirst ? () => {} : () => setTimeout(() => fail(), 1)),
    debounceModule: (_work, isFirst, fail) => late.module(isFirst ? () => {} : () => setTimeout(() => fail(), 1)),
    throttle: (_work, isFirst, fail) => late.throttle(isFirst ? () => {} : () => setTimeout(() => fail(), 1)),
    concatMap: (work) => subject.next(work),
    concatMapLazy: (work) => lazy.next(work),
    debounceTime: (_work, isFirst, fail) => timed.debounceTime.next(isFirst ? () => {} : fail),
    throttleTime: (_work, isFirst, fail) => timed.throttleTime.next(isFirst ? () => {} : fail),
    auditTime: (_work, isFirst, fail) => timed.auditTime.next(isFirst ? () => {} : fail),
    // As Node advises; its error is thrown through the first one's timer.
    resource: (work, isFirst, fail) => {
      if (isFirst) held.resource.promise.then(() => setTimeout(() => pool.splice(0).forEach((call) => call()), 1))
      else pool.push(AsyncResource.bind(fail))
    },
  }
  const held = Object.fromEntries(Object.keys(acts).map((act) => [act, Promise.withResolvers()]))
  held.memoize = held.asyncMemoize

  database.listen(0, '127.0.0.1')
  process.on('uncaughtException', () => {})
  process.on('unhandledRejection', () => {})
  const server = createServer((req, res) => {
    const [, act, which] = req.url.split('/')
    const isFirst = which === 'first'
    if (act in acts) {
      const fail = failing(act)
      acts[act](isFirst ? () => held[act].promise : async () => fail(), isFirst, fail)
    }
    if (!isFirst) res.on('close', () => held[act].resolve())
    res.end('ok')
  }).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
