// A server whose process ends in the way that it is asked to, while another request is in flight.
const { EventEmitter } = require('node:events')
const { readFile } = require('node:fs')
const { createServer } = require('node:http')

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
  exit: () => process.exit(3),
  abort: () => process.abort(),
  kill: () => process.kill(process.pid, 'SIGKILL'),
  sigterm: () => process.kill(process.pid, 'SIGTERM'),
  sigint: () => process.kill(process.pid, 'SIGINT'),
  sighup: () => process.kill(process.pid, 'SIGHUP'),
}

if (process.env.OWN_HANDLER === 'uncaughtException')
  process.on('uncaughtException', (error) => console.log(`handled ${error.message}`))
if (process.env.OWN_HANDLER === 'unhandledRejection')
  process.on('unhandledRejection', (error) => console.log(`handled ${error.message}`))
if (process.env.OWN_HANDLER === 'SIGTERM')
  process.on('SIGTERM', () => {
    console.log('handled SIGTERM')
    process.exit(0)
  })

const server = createServer((req, res) => {
  if (req.url === '/done') res.end('ok')
  else if (req.url === '/bystander') console.log('bystander')
  else acts[process.argv[2]]()
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
