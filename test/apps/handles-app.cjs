// A server that answers 200 and leaves work behind in threads and children. Shared by the CommonJS and the ESM form of the app.
const { spawnSync } = require('node:child_process')
const { createServer } = require('node:http')

// In a child of its own it answers all that it is asked.
if (require.main === module) {
  process.on('message', (message) => {
    if (message === 'exit now') process.exit(7)
    process.send(message)
  })
}

const IN_THREAD = `
  const { parentPort } = require('node:worker_threads')
  const acts = {
    done: () => parentPort.postMessage('done'),
    throws: () => { throw new RangeError('in the thread') },
    exits: () => process.exit(7),
    memory: () => { const all = []; for (;;) all.push(new Array(1e5).fill(all.length)) },
    hangs: () => { parentPort.postMessage = undefined },
    slow: () => setTimeout(() => parentPort.postMessage('slow'), 50),
  }
  parentPort.on('message', (act) => acts[act]())
`
const AT_START = {
  throws: 'throw new RangeError("at its start")',
  done: 'require("node:worker_threads").parentPort.postMessage("done")',
  silent: '1 + 1',
  hangs: 'setInterval(() => {}, 1_000)',
}

module.exports = function start({ Worker, spawn, exec, execFile, fork }) {
  const ignore = () => {}
  const newThread = (code) =>
    new Worker(code, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16 } }).on('error', ignore)
  const shared = newThread(IN_THREAD)
  let keptThread, keptChild, nextThread, nextChild
  const startThread = () => {
    nextThread = newThread(IN_THREAD).on('error', startThread)
  }
  const startChild = () => {
    const child = fork(__filename, { env: {}, execArgv: [] }).on('exit', startChild)
    child.on('message', (answer) => answer === 'exits' && child.send('exit now'))
    nextChild = child
  }
  const acts = {
    'kept-thread': () => {
      keptThread ??= newThread(IN_THREAD)
      keptThread.once('message', () => console.log('the thread has answered'))
      keptThread.postMessage('done')
    },
    'kept-child': () => {
      keptChild ??= fork(__filename, { env: {}, execArgv: [] })
      keptChild.once('message', () => console.log('the child has answered'))
      keptChild.send('done')
    },
    // A new one takes the place of one that has died.
    'replaced-thread': (act) => {
      if (!nextThread) startThread()
      nextThread.postMessage(act)
    },
    'replaced-child': (act) => {
      if (!nextChild) startChild()
      nextChild.send(act)
    },
    post: (act) => shared.postMessage(act),
    'post-function': () => {
      try {
        shared.postMessage(ignore)
      } catch {}
    },
    'post-and-terminate': () => {
      shared.postMessage('hangs')
      setTimeout(() => shared.terminate(), 50)
    },
    thread: (act) => newThread(AT_START[act]),
    'thread-terminate': () => {
      const thread = newThread(AT_START.hangs)
      thread.on('online', () => thread.terminate())
    },
    // Node says that it ended with 0.
    'thread-never-began': () => newThread(AT_START.hangs).terminate(),
    'thread-answer-terminate': () => {
      const thread = newThread(AT_START.done)
      thread.on('message', () => thread.terminate())
    },
    'thread-post': () => newThread(IN_THREAD).postMessage('throws'),
    child: (code) => spawn(process.execPath, ['-e', code], { env: {} }).on('error', ignore),
    'child-kill': () => {
      const child = spawn(process.execPath, ['-e', 'console.log(1); setInterval(() => {}, 1000)'], { env: {} })
      child.stdout.on('data', () => spawnSync('kill', ['-9', child.pid]))
    },
    'child-killed-by-number': () => {
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { env: {} })
      child.on('spawn', () => process.kill(child.pid))
    },
    'child-group-killed': () => {
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { env: {}, detached: true })
      child.on('spawn', () => process.kill(-child.pid, 'SIGKILL'))
    },
    // As execa and zx do.
    'child-library': () => {
      process.on('unhandledRejection', ignore)
      spawn(process.execPath, ['-e', 'process.exit(3)'], { env: {} }).on('exit', (exitCode) =>
        Promise.reject(Object.assign(new Error('the command has failed'), { exitCode })),
      )
    },
    'child-own-kill': () => {
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { env: {} })
      child.on('spawn', () => child.kill())
    },
    // As `using` does at the end of its block.
    'child-disposed': () => {
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { env: {} })
      child.on('spawn', () => child[Symbol.dispose]())
    },
    'child-floods': () =>
      execFile(process.execPath, ['-e', 'setInterval(() => console.log(1), 1)'], { env: {}, maxBuffer: 1 }, ignore),
    'child-missing': () => spawn('/nowhere/no-such-program').on('error', ignore),
    'child-abort': () => {
      const controller = new AbortController()
      execFile(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { env: {}, signal: controller.signal }, ignore)
      setTimeout(() => controller.abort(), 20)
    },
    'child-timeout': () =>
      execFile(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { env: {}, timeout: 50 }, ignore),
    shell: (command) => exec(command, ignore),
    fork: () => fork('/nowhere/no-such-module.js', { env: {}, silent: true, execArgv: [] }),
  }
  if (process.argv[2]) acts[process.argv[2]](process.argv[3])
  const server = createServer((req, res) => {
    const url = new URL(req.url, 'http://x')
    res.end('ok')
    acts[url.pathname.slice(1)]?.(url.searchParams.get('arg'))
  }).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
