// What an app can see of the queues that it makes: printed, to be compared with the same app without Afterspan.
const async = require('async')
const AsyncLock = require('async-lock')
const Bottleneck = require('bottleneck')
const DataLoader = require('dataloader')
const fastq = require('fastq')

const lines = []
const see = (...what) => lines.push(what.map((each) => JSON.stringify(each) ?? String(each)).join(' '))
const nature = (fn) => [typeof fn, fn.name, fn.length, Object.keys(fn)]
/** A class that is patched keeps its methods where and what they were. */
const methods = ({ prototype }) =>
  Object.entries(Object.getOwnPropertyDescriptors(prototype)).map(([name, { enumerable, value }]) => [
    name,
    enumerable,
    typeof value === 'function' ? [value.name, value.length] : typeof value,
  ])

function seeFastq() {
  see('fastq', nature(fastq), nature(fastq.promise))
  const self = { isThis: true }
  const waiting = []
  const queue = fastq(
    self,
    function (value, done) {
      see('worker', this === self, value, arguments.length)
      waiting.push(done)
    },
    1,
  )
  see(
    Object.entries(queue).map(([name, value]) => (typeof value === 'function' ? [name, value.length] : [name, value])),
  )
  queue.error((error, value) => see('handler', error?.message, value))
  const object = { of: 'the app' }
  see(queue.push(object, (error, result) => see('done', error, result)))
  for (const value of [7, 'text', null, undefined]) queue.push(value)
  see(queue.unshift('first'), queue.getQueue(), queue.length(), queue.running(), queue.idle())
  waiting.shift()(null, 'a result')
  waiting.shift()(new Error('of a worker'))
  see(queue.getQueue(), queue.getQueue()[1] === 'text')
  queue.kill()
  for (const wrong of [
    () => fastq(() => {}),
    () => fastq(() => {}, 0),
    () => fastq('no worker', 1).push(1),
    () => fastq(),
  ])
    try {
      see('no error', typeof wrong())
    } catch (error) {
      see(error.name, error.message)
    }
}

async function seeAsync() {
  for (const name of ['queue', 'priorityQueue', 'cargo', 'cargoQueue', 'memoize']) see(name, nature(async[name]))
  see(async.default.queue === async.queue, Object.keys(async).length)
  const queue = async.queue((value, done) => {
    see(
      'worker',
      value,
      queue.running(),
      queue.workersList().map(({ data }) => data),
    )
    setImmediate(() => done(value === 'bad' ? new Error('bad') : null, value, 2))
  }, 2)
  see(Object.keys(queue))
  queue.error((error, value) => see('error', error.message, value))
  queue.push(['a', 'b'], (error, ...results) => see('callback', error?.message, results))
  see(
    [...queue].map((each) => each),
    await queue.pushAsync('c'),
    await queue.push('bad'),
  )
  await queue.pushAsync('bad').catch(({ message }) => see('rejected', message))
  see(await async.queue(async (value) => value * 2, 1).pushAsync(21))
  const memoized = async.memoize((key, callback) => setImmediate(() => callback(null, key)))
  see(nature(memoized), typeof memoized.memo, typeof memoized.unmemoized)
  memoized('key', (error, key) => see('memoized', error, key))
  try {
    async.queue(() => {}, 0)
  } catch ({ message }) {
    see(message)
  }
}

async function seeClasses() {
  for (const each of [AsyncLock, Bottleneck, DataLoader]) see(nature(each), methods(each))
  const lock = new AsyncLock()
  const order = []
  await Promise.all(
    ['a', 'b', 'c'].map((each) => lock.acquire('key', async () => order.push(each), { skipQueue: each === 'c' })),
  )
  see(order, lock.isBusy())
  const limiter = new Bottleneck({ maxConcurrent: 1, highWater: 1, strategy: Bottleneck.strategy.LEAK })
  const work = async (...given) => given
  limiter.on('dropped', ({ task, args }) => see('dropped', task === work, args))
  const results = await Promise.allSettled([1, 2, 3].map((each) => limiter.schedule({ id: `job ${each}` }, work, each)))
  see(
    results.map(({ status, value, reason }) => [status, value, reason?.message]),
    limiter.counts(),
  )
  const loader = new DataLoader(async (keys) => keys.map((key) => (key < 0 ? new RangeError('below') : key * 2)))
  see(loader.load(1) === loader.load(1), await loader.loadMany([1, 2, 2]))
  see(await loader.load(-1).catch(({ name }) => name))
}

seeFastq()
void seeAsync()
  .then(seeClasses)
  .then(() => console.log(lines.join('\n')))
