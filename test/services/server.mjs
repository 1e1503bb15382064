// What the servers in this folder have in common. Each file beside this one starts one kind of server and nothing else:
// `missing()` says why it cannot, `start(options)` starts it on a free port with its files in a new folder,
// and run by hand (`node test/services/redis.mjs`) it prints its address and stays until Ctrl-C.
import { spawn } from 'node:child_process'
import {
  accessSync,
  constants,
  mkdtempSync,
  openSync,
  closeSync,
  existsSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { endTree, freezeTree, killTree, thawTree } from './process-tree.mjs'

export const HOST = '127.0.0.1'
const READY_MS = 60_000
const STOP_MS = 5_000
const running = new Set()
let isArmed = false

/** Path of a program in PATH, or undefined. */
export function find(program) {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.map((folder) => join(folder, program)).find(isExecutable)
}

/** The reason for a program of a Debian package, and how to get it. */
export function missingProgram(program, debianPackage) {
  return find(program)
    ? undefined
    : `${program} is not in PATH: run test/services/install.sh as root, or install the package ${debianPackage}`
}

/** As C, Java and Erlang say it. */
const TAKEN = /address already in use|eaddrinuse|port_already_used/i

/**
 * Starts a server process and waits until it answers.
 * `prepare(folder)` may make files; `args(port, folder)`; `isReady(port, log)` is asked until true.
 * `stopSignal` asks it to end; `lastSignal` is for a server that nobody can wait for any more, instead of SIGKILL.
 * With `port: 0` a free port is sought, and sought again when another process took it in between.
 */
export async function startServer(plan) {
  for (let attempt = 1; ; attempt++) {
    const port = plan.port || (await freePort())
    const folder = mkdtempSync(join(tmpdir(), `afs-${plan.name}-`))
    const server = { child: undefined, folder, lastSignal: plan.lastSignal }
    remember(server)
    try {
      await plan.prepare?.(folder)
      return await launch(plan, server, port)
    } catch (error) {
      const log = logOf(folder)
      await remove(server)
      if (attempt < 3 && !plan.port && TAKEN.test(log)) continue
      throw new Error(`${plan.name} did not start: ${error.message}\n${log.slice(-2_000)}`, { cause: error })
    }
  }
}

async function launch(plan, server, port) {
  const { folder } = server
  const logFile = join(folder, 'server.log')
  const log = openSync(logFile, 'a')
  const child = spawn(plan.command, plan.args(port, folder), {
    cwd: folder,
    detached: true, // Ctrl-C is for the runner, which then stops its servers in order
    env: plan.env ?? { LANG: 'C.UTF-8', PATH: process.env['PATH'] },
    stdio: ['ignore', log, log],
    ...plan.as,
  })
  closeSync(log)
  server.child = child
  server.exited = new Promise((resolve) => {
    child.once('exit', resolve)
    child.once('error', resolve)
  })
  const deadline = performance.now() + READY_MS
  while (!(await plan.isReady(port, logOf(folder)))) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) throw new Error('it ended')
    if (performance.now() > deadline) throw new Error(`it was not ready within ${READY_MS} ms`)
    await delay(20)
  }
  return {
    host: HOST,
    logFile,
    pid: child.pid,
    port,
    url: plan.url(port),
    freeze: () => freezeTree(child.pid),
    kill: () => endTree(child.pid),
    stop: () => stop(server, plan.stopSignal ?? 'SIGTERM'),
    thaw: async () => thawTree(child.pid),
  }
}

async function stop(server, signal) {
  const { child } = server
  if (!running.has(server)) return
  thawTree(child.pid) // a frozen process does not hear SIGTERM
  child.kill(signal)
  const late = setTimeout(() => killTree(child.pid), STOP_MS)
  await server.exited
  clearTimeout(late)
  await remove(server)
}

async function remove(server) {
  if (server.child?.pid !== undefined && server.child.exitCode === null && server.child.signalCode === null) {
    killTree(server.child.pid)
    await server.exited
  }
  running.delete(server)
  removeFolder(server.folder)
}

/** No server outlives the process that started it: vitest ends its workers by SIGTERM, which emits no 'exit'. */
function remember(server) {
  running.add(server)
  if (isArmed) return
  isArmed = true
  process.on('exit', killAll)
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'])
    process.once(signal, () => {
      killAll()
      process.kill(process.pid, signal)
    })
}

function killAll() {
  for (const { child, folder, lastSignal } of running) {
    if (child?.pid !== undefined && lastSignal) {
      thawTree(child.pid)
      child.kill(lastSignal)
    } else if (child?.pid !== undefined) killTree(child.pid)
    removeFolder(folder)
  }
  running.clear()
}

/** Again and again: `rmSync` stops half-way, and says nothing, when the dying server removes a file in the same moment. */
function removeFolder(folder) {
  for (let attempt = 0; attempt < 10 && existsSync(folder); attempt++)
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}

/** Starts the server of a file that is run by hand, prints its address, and stays; Ctrl-C ends both. Does nothing when the file is imported. */
export async function byHand(moduleUrl, { missing, start }) {
  if (!process.argv[1] || realpathSync(process.argv[1]) !== fileURLToPath(moduleUrl)) return
  const [asked = '0'] = process.argv.slice(2)
  const port = Number(asked)
  const isPort = Number.isInteger(port) && port >= 0 && port <= 65_535
  if (!isPort) {
    // What it is stands at the top of each file.
    const [about] = /^(?:\/\/.*\n)+/.exec(readFileSync(fileURLToPath(moduleUrl), 'utf8')) ?? ['']
    console.error(about.replaceAll(/^\/\/ /gm, '').trimEnd())
    process.exit(asked === '--help' || asked === '-h' ? 0 : 2)
  }
  const reason = missing()
  if (reason) {
    console.error(reason)
    process.exit(1)
  }
  const server = await start({ port })
  console.log(server.url)
  console.error(`pid ${server.pid}, log ${server.logFile}; Ctrl-C stops it`)
  setInterval(() => {}, 60_000) // until Ctrl-C
}

/** One line to a server and the first bytes of its answer, or '' when it does not answer: enough to ask whether it is ready. */
export function ask(port, line, timeoutMs = 1_000) {
  return new Promise((resolve) => {
    const socket = connect(port, HOST)
    const finish = (text) => {
      socket.destroy()
      resolve(text)
    }
    socket.setTimeout(timeoutMs, () => finish(''))
    socket.once('connect', () => socket.write(line))
    socket.once('data', (bytes) => finish(bytes.toString('latin1')))
    socket.once('error', () => finish(''))
    socket.once('close', () => finish(''))
  })
}

/** A port that nobody had a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, HOST, () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function logOf(folder) {
  try {
    return readFileSync(join(folder, 'server.log'), 'utf8')
  } catch {
    return ''
  }
}
