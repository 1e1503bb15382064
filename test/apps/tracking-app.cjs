// A service that answers, and says itself what it does after that.
module.exports = function start({ createServer, openTask, runTask, tasks, track }) {
  const untilAborted = ({ signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        console.log(`aborted ${signal.reason.name}`)
        reject(signal.reason)
      })
    })
  const forever = () => new Promise(() => {})
  const acts = {
    throws: () =>
      track('mail', () => {
        throw new RangeError('no mailer')
      }),
    rejects: () => track('mail', Promise.reject(new RangeError('no mailer'))),
    aborts: () =>
      track('mail', async () => {
        throw new DOMException('no more', 'AbortError')
      }),
    deadline: () => track('mail', untilAborted, { deadlineMs: 50 }),
    century: () => track('mail', async ({ signal }) => console.log(`aborted ${signal.aborted}`), { deadlineMs: 3e12 }),
    nonsense: () => track({ toString: () => 'mail' }, async (scope) => scope.heartbeat('much'), { deadlineMs: NaN }),
    long: () => track('mail '.repeat(20_000), async () => {}),
    progress: () => track('mail', (scope) => (scope.heartbeat(0.25), forever())),
    nested: () => track('mail', () => runTask('attachment', async () => {})),
    left: () => {
      const task = openTask('mail')
      task[Symbol.dispose]()
    },
    good: () => {
      const task = openTask('mail')
      task.run(() => track('attachment', async () => {}))
      task.heartbeat(1)
      task.succeed()
      task.fail(new Error('too late'))
      task[Symbol.dispose]()
    },
    bad: () => openTask('mail').fail(new RangeError('no mailer')),
    cancelled: async () => {
      const task = openTask('mail')
      task.cancel()
      await task[Symbol.asyncDispose]()
    },
    asks: () => void tasks.receipt('what the client sent').catch(() => {}),
    exit: () => {
      openTask('mail').succeed()
      process.exit(0)
    },
  }
  const server = createServer((request, response) => {
    const act = acts[request.url.slice(1)]
    response.on('close', () => setImmediate(() => console.log(`left ${request.url}`)))
    if (request.url === '/exit') response.on('close', () => setImmediate(() => act()))
    else act?.()
    response.end('ok')
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
