// What an app can see of the queues that it makes: printed, to be compared with the same app without Afterspan.
const async = require('async')
const AsyncLock = require('async-lock')
const Bottleneck = require('bottleneck')
const DataLoader = require('dataloader')
const fastq = require('fastq')
const lodash = require('lodash')
const rxjs = require('rxjs')

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

function seeLate() {
  for (const [debounce, throttle] of [
    [lodash.debounce, lodash.throttle],
    [require('lodash/debounce'), require('lodash/throttle')],
  ]) {
    see(nature(debounce), nature(throttle), lodash(call).debounce(1).value().length)
    const self = { isThis: true }
    function call(...args) {
      see('called', this === self, args)
      return args.length
    }
    const late = debounce(call, 300, { leading: true, maxWait: 400 })
    see(nature(late), nature(throttle(call, 1)), late.call(self, 1), late.call(self, 2, 3), late.flush(), late.cancel())
    for (const make of [debounce, throttle])
      try {
        make('no function')
      } catch (error) {
        see(error.name, error.message)
      }
  }
}

async function seeObservables() {
  const { EMPTY, Subject, concatMap, defer, expand, from, lastValueFrom, map, mergeMap, of, throwError, toArray } = rxjs
  const all = (source) => lastValueFrom(source.pipe(toArray())).then(see, ({ message }) => see('failed', message))
  const soon = async (value) => {
    for (let turn = value; turn < 5; turn++) await turn
    return value
  }
  await all(from([1, 2, 3]).pipe(concatMap(soon)))
  await all(
    from([1, 2, 3]).pipe(mergeMap((value, index) => defer(() => soon(value)).pipe(map((it) => [it, index])), 2)),
  )
  await all(from([1, 2, 3]).pipe(concatMap((value) => [value, -value])))
  await all(of(1).pipe(expand((value) => (value < 8 ? of(value * 2) : EMPTY), 1)))
  await all(from([1, 2]).pipe(concatMap((value) => (value > 1 ? throwError(() => new Error('two')) : soon(value)))))
  await all(from([1, 2]).pipe(concatMap((value) => (value > 1 ? Promise.reject(new Error('2')) : soon(value)))))
  await all(from([1, 2]).pipe(concatMap(() => 7)))
  const subject = new Subject()
  const subscription = subject.pipe(concatMap(soon)).subscribe((value) => see('of a subject', value))
  for (const value of [1, 2]) subject.next(value)
  see(subject.observed)
  await soon(0)
  subscription.unsubscribe()
  see(subject.observed)
}

seeFastq()
void seeAsync()
  .then(seeClasses)
  .then(seeLate)
  .then(seeObservables)
  .then(() => console.log(lines.join('\n')))
