// What Next.js does with after(): the class that has it is in a bundle, one of its files has the store of the request, and what a task
// throws is caught and printed. Its own span of the request is open for a little longer than the response.
const { mkdirSync, writeFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { join } = require('node:path')
const { SpanKind, trace } = require('@opentelemetry/api')

const FILE = 'dist/server/app-render/work-async-storage.external.js'
const next = join(process.env.FOLDER, 'node_modules/next')
mkdirSync(join(next, FILE, '..'), { recursive: true })
writeFileSync(join(next, 'package.json'), '{ "name": "next", "version": "16.4.6" }')
writeFileSync(join(next, FILE), 'exports.workAsyncStorage = new (require("node:async_hooks").AsyncLocalStorage)()')
const { workAsyncStorage } = require(join(next, FILE))
const RESOLVER = 'dist/compiled/next-server/pages-api.runtime.prod.js'
mkdirSync(join(next, RESOLVER, '..'), { recursive: true })
writeFileSync(
  join(next, RESOLVER),
  'exports.resolve = async (handler, response) => { try { await handler(response) } catch (error) { console.error(error) } }',
)
const { resolve } = require(join(next, RESOLVER))

class AfterContext {
  #response
  constructor(response) {
    this.#response = response
  }
  after(task) {
    if (typeof task?.then === 'function') task.then(undefined, this.#report)
    else if (typeof task === 'function') this.#response.on('close', () => this.#run(task))
    else throw new Error('`after()`: Argument must be a promise or a function')
  }
  async #run(task) {
    try {
      await task()
    } catch (error) {
      this.#report(error)
    }
  }
  #report({ message }) {
    console.log(`caught ${message}`)
  }
}

const fail = async () => {
  await new Promise(setImmediate)
  throw new TypeError('no receipt')
}
// API routes of its pages: they answer, and go on.
const routes = {
  async throwsBehind(response) {
    response.end()
    await fail()
  },
  async throwsAtOnce(response) {
    response.end()
    throw new RangeError('no mail')
  },
  async printsBehind(response) {
    response.end()
    await fail().catch((error) => console.error(error))
  },
  async printsWhatItGot(response) {
    response.end()
    const { error } = await fail().catch((caught) => ({ error: caught }))
    console.error(error)
  },
  async refuses(response) {
    response.writeHead(409).end()
    await fail()
  },
}
const ways = {
  done: () => async () => 'done',
  fails: () => fail,
  throws: () => () => {
    throw new RangeError('no mail')
  },
  promise: () => fail(),
  hangs: () => () => {
    console.log('hanging')
    setTimeout(() => {}, 100_000)
    return new Promise(() => {})
  },
  // What the task does on its own account, and gets over, breaks no promise.
  handles: () => () => fetch('http://127.0.0.1:9/').catch(() => {}),
  nothing: () => undefined,
}
const server = createServer((request, response) => {
  const [, way] = request.url.split('/')
  if (way === 'kill') process.kill(process.pid, 'SIGKILL')
  trace.getTracer('next.js').startActiveSpan(request.method, { kind: SpanKind.SERVER }, (span) => {
    response.on('close', () => setImmediate(() => span.end()))
    if (routes[way]) return void resolve(routes[way], response)
    const afterContext = new AfterContext(response)
    workAsyncStorage.run({ afterContext }, () => {
      try {
        if (way !== 'plain') afterContext.after(ways[way]())
      } catch ({ message }) {
        console.log(`threw ${message}`)
      }
      response.end()
    })
  })
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
