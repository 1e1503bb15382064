// A server whose process ends in the way that it is asked to, while another request is in flight.
const { spawn } = require('node:child_process')
const { EventEmitter } = require('node:events')
const { readFile } = require('node:fs')
const { createServer } = require('node:http')
const { Worker } = require('node:worker_threads')

const acts = {
  timer: () =>
    setTimeout(() => {
      throw new RangeError('in a timer')
    }, 5),
  tick: () =>
    process.nextTick(() => {
      throw new RangeError('in a tick')
    }),
  microtask: () =>
    queueMicrotask(() => {
      throw new RangeError('in a microtask')
    }),
  callback: () =>
    readFile(__filename, () => {
      throw new RangeError('in a callback')
    }),
  emitter: () => new EventEmitter().emit('error', new RangeError('from an emitter')),
  threadExit: () =>
    new Worker('', { eval: true }).on('exit', () => {
      throw new RangeError('at the exit of a thread')
    }),
  // Nobody listens to their 'error'.
  thread: () =>
    new Worker('const kept = []; for (;;) kept.push(new Array(1e5).fill({}))', {
      eval: true,
      resourceLimits: { maxOldGenerationSizeMb: 16 },
    }),
  child: () => spawn('/no/such/program'),
  rejection: () => {
    void Promise.reject(new RangeError('nobody awaits this'))
  },
  null: () =>
    setTimeout(() => {
      throw null
    }, 5),
  string: () =>
    setTimeout(() => {
      throw 'a string'
    }, 5),
  frozen: () =>
    setTimeout(() => {
      throw Object.freeze(new RangeError('frozen'))
    }, 5),
  getter: () =>
    setTimeout(() => {
      throw Object.defineProperty(new RangeError('x'), 'message', {
        get() {
          throw new Error('from a getter')
        },
      })
    }, 5),
  overflow: () =>
    setTimeout(function again() {
      again()
    }, 5),
  async: async () => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    throw new RangeError('in an async handler')
  },
  undefined: () =>
    setTimeout(() => {
      throw undefined
    }, 5),
  rejectNull: () => {
    void Promise.reject(null)
  },
  proxy: () =>
    setTimeout(() => {
      const refuse = () => {
        throw new Error('from a trap')
      }
      throw new Proxy({}, { get: refuse, getPrototypeOf: refuse, has: refuse, ownKeys: refuse })
    }, 5),
  domain: () => {
    const domain = require('node:domain').create()
    if (process.env.OWN_HANDLER === 'domain') domain.on('error', (error) => console.log(`handled ${error.message}`))
    domain.run(() =>
      setTimeout(() => {
        throw new RangeError('in a domain')
      }, 5),
    )
  },
  exitInExit: () => {
    process.on('exit', () => process.exit(9))
    process.exit(3)
  },
  throwInExit: () => {
    process.on('exit', () => {
      throw new RangeError('in an exit handler')
    })
    process.exit(3)
  },
  natural: () => {
    process.exitCode = 7
    server.close()
    server.closeAllConnections()
  },
  background: (req, res) => {
    res.end('soon', () => (isWanted = true))
  },
  heap: () => {
    const kept = []
    for (;;) kept.push(Array.from({ length: 100_000 }, () => ({})))
  },
  exit: () => process.exit(3),
  abort: () => process.abort(),
  kill: () => process.kill(process.pid, 'SIGKILL'),
  sigterm: () => process.kill(process.pid, 'SIGTERM'),
  sigint: () => process.kill(process.pid, 'SIGINT'),
  sighup: () => process.kill(process.pid, 'SIGHUP'),
}

if (process.env.OWN_HANDLER === 'uncaughtException')
  process.on('uncaughtException', (error) => console.log(`handled ${error.message}`))
if (process.env.OWN_HANDLER === 'throws itself')
  process.on('uncaughtException', function (error) {
    throw new Error(`the handler: ${error.message}`)
  })
if (process.env.OWN_HANDLER === 'unhandledRejection')
  process.on('unhandledRejection', (error) => console.log(`handled ${error.message}`))
const forRejections = {
  'throw the reason': (reason) => {
    throw reason
  },
  'throw another error': (reason) => {
    throw new RangeError('a handler that throws', { cause: reason })
  },
  'exit at once': () => process.exit(42),
  'exit soon': () => setTimeout(() => process.exit(42), 5),
}[process.env.OWN_HANDLER]
if (forRejections) process.on('unhandledRejection', forRejections)
if (process.env.OWN_HANDLER === 'capture')
  process.setUncaughtExceptionCaptureCallback((error) => console.log(`handled ${error.message}`))
if (process.env.OWN_HANDLER === 'log and exit')
  process.on('uncaughtException', () => {
    console.log('handled, and out')
    setTimeout(() => process.exit(42), 5)
  })
if (process.env.OWN_HANDLER === 'SIGTERM')
  process.on('SIGTERM', () => {
    console.log('handled SIGTERM')
    process.exit(0)
  })

let isWanted = false
if (process.argv[2] === 'background')
  setInterval(() => {
    if (isWanted) throw new RangeError('in the background')
  }, 5)

const server = createServer((req, res) => {
  if (req.url === '/done' || req.url === '/livez') res.end('ok')
  else if (req.url === '/bystander') console.log('bystander')
  else acts[process.argv[2]](req, res)
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
