// A server that answers 200 and leaves behind what fails later, in every way that needs no library. It handles what is uncaught.
const { AsyncLocalStorage, AsyncResource } = require('node:async_hooks')
const { exec, spawn } = require('node:child_process')
const { create } = require('node:domain')
const { EventEmitter } = require('node:events')
const { createServer, get } = require('node:http')
const { PassThrough, Readable, Writable } = require('node:stream')
const { setTimeout: sleep } = require('node:timers/promises')
const { promisify } = require('node:util')
const { runTask } = require('afterspan')

const fail = (text) => {
  throw new RangeError(text)
}
/** Shared by all requests, and drained by a timer that was set at the start. */
const pool = []
const emitter = new EventEmitter()
setInterval(() => {
  pool.shift()?.()
  emitter.emit('tick')
}, 20)

let waiting
/** One timer for all who ask within its time: the last one's. */
const debounced = () => {
  clearTimeout(waiting)
  waiting = setTimeout(() => fail('after a pause'), 5)
}
let turn = Promise.resolve()
const oneAtATime = (work) => {
  const mine = turn.then(work)
  turn = mine.catch(() => {})
  return mine.then((value) => value)
}
async function* lines() {
  yield 'one'
  fail('in a generator')
}

let sharing
const acts = {
  timer: () => setTimeout(fail, 5, 'in a timer'),
  immediate: () => setImmediate(fail, 'in an immediate'),
  tick: () => process.nextTick(fail, 'in a tick'),
  microtask: () => queueMicrotask(() => fail('in a microtask')),
  interval: () => {
    const timer = setInterval(() => {
      clearInterval(timer)
      fail('in an interval')
    }, 5)
  },
  rejection: () => {
    void Promise.reject(new RangeError('nobody awaits this'))
  },
  async: async () => {
    await Promise.resolve()
    fail('in an async function')
  },
  nested: () => setTimeout(() => void Promise.resolve().then(() => setTimeout(fail, 5, 'far down')), 5),
  stream: () => new Readable({ read: () => {} }).destroy(new RangeError('of a stream')),
  emitter: () => setImmediate(() => new EventEmitter().emit('error', new RangeError('of an emitter'))),
  callback: () => require('node:fs').readFile(__filename, () => fail('in a callback')),
  double: () => {
    const once = (calls) => (calls > 1 ? fail('called twice') : setTimeout(once, 1, calls + 1))
    once(1)
  },
  debounced: () => debounced(),
  limited: () => void oneAtATime(async () => fail('behind a limit')),
  generator: async () => {
    for await (const _ of lines());
  },
  timeout: () => AbortSignal.timeout(5).addEventListener('abort', () => fail('at a timeout')),
  zlib: () => require('node:zlib').gzip('text', () => fail('in a compression')),
  dns: () => require('node:dns').lookup('127.0.0.1', () => fail('in a look-up')),
  abandoned: async () => {
    const left = lines()
    await left.next()
    void left.throw(new RangeError('into a generator that nobody reads to its end'))
  },
  disposed: async () => {
    const resource = { [Symbol.asyncDispose]: async () => fail('at the end of a resource') }
    await resource[Symbol.asyncDispose]()
  },
  subclass: () => void class extends Promise {}.resolve().then(() => fail('in a promise of its own kind')),
  // One error is told once, however many promises it has come to.
  twice: () => {
    const error = new RangeError('met twice')
    void Promise.all([Promise.reject(error), sleep(1)])
    void Promise.reject(error)
  },
  piped: () => {
    const from = new PassThrough()
    from.pipe(new Writable({ write: (chunk, encoding, done) => done(new RangeError('of a pipe')) }))
    setTimeout(() => from.write('text'), 5)
  },
  web: () => void new ReadableStream({ pull: async () => fail('of a web stream') }).getReader().read(),
  captured: () => {
    const capturing = new EventEmitter({ captureRejections: true })
    // oxlint-disable-next-line typescript/no-misused-promises -- what it does then is the question
    capturing.on('event', async () => fail('in a listener that is asynchronous'))
    setTimeout(() => capturing.emit('event'), 5)
  },
  target: () => {
    const target = new EventTarget()
    // oxlint-disable-next-line typescript/no-misused-promises -- as above
    target.addEventListener('event', async () => fail('in a listener of a target'))
    target.dispatchEvent(new Event('event'))
  },
  imported: () => void import('data:text/javascript,await 0; throw new RangeError("while it is imported")'),
  cycle: () => {
    const error = new RangeError('caused by what it has caused')
    error.cause = new Error('between', { cause: error })
    void Promise.reject(error)
  },
  getters: () => {
    const error = new RangeError('unreadable')
    for (const key of ['message', 'stack', 'cause'])
      Object.defineProperty(error, key, {
        get() {
          throw new Error('a getter of the app')
        },
      })
    setTimeout(() => {
      throw error
    }, 5)
  },
  bound: () => pool.push(AsyncResource.bind(() => fail('bound by the app'))),
  snapshot: () => {
    const inContext = AsyncLocalStorage.snapshot()
    pool.push(() => inContext(fail, 'in a snapshot'))
  },
  scoped: () => {
    const resource = new AsyncResource('job')
    pool.push(() => resource.runInAsyncScope(fail, null, 'in a scope'))
  },
  pool: () => pool.push(() => fail('in a pool')),
  listener: () => emitter.once('tick', () => fail('in a listener')),
  late: () => {
    const promise = Promise.reject(new RangeError('handled late'))
    setTimeout(() => void promise.catch(() => {}), 50)
  },
  flood: () => {
    for (let n = 0; n < 1_000; n++) void Promise.reject(new RangeError('one of many'))
  },
  tooLate: () => {
    const promise = Promise.reject(new RangeError('handled too late'))
    process.once('SIGUSR2', () => void promise.catch(() => {}))
  },
  // Each of these is one error, and two see it: the call or the child that failed, and Node's last handlers.
  call: () => void get('http://127.0.0.1:2/'),
  fetch: () => void fetch('http://127.0.0.1:2/'),
  child: () => void spawn('/no/such/program'),
  exec: () => void promisify(exec)('exit 3'),
  overlong: () => void promisify(exec)('sleep 60', { timeout: 20 }),
  overfull: () => void promisify(exec)('yes', { maxBuffer: 1 }),
  // Each asks for one thing, which fails, and nobody catches it in either.
  shared: async () => {
    await (sharing ??= sleep(100).then(() => Promise.reject(new RangeError('of both'))))
  },
  // Caught by a domain, which is what it is for.
  domain: () => {
    const own = create().on('error', () => {})
    own.run(() => setTimeout(fail, 5, 'in a domain'))
  },
  // Node calls it an AbortError.
  overtime: () => void sleep(60_000, null, { signal: AbortSignal.timeout(5) }),
  task: () => runTask('sum', () => void setTimeout(fail, 20, 'left behind by a task')),
  abort: () => {
    void Promise.reject(AbortSignal.abort().reason)
  },
}
const wordsOf = (error) => {
  try {
    return error.message
  } catch {
    return 'what cannot be read'
  }
}
if (process.argv[2] !== 'bare') {
  process.on('uncaughtException', (error) => console.log(`caught ${wordsOf(error)}`))
  if (process.argv[2] !== 'exceptions') {
    process.on('unhandledRejection', ({ message }) => console.log(`caught ${message}`))
  }
}
const server = createServer((req, res) => {
  res.end('ok')
  const act = acts[req.url.slice(1)]
  if (act) res.on('close', act)
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
