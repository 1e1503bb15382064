// node test/services/mariadb.mjs [port]: a MariaDB with the user root and no password over TCP, and a database `test`.
import { spawnSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { ask, byHand, find, HOST, missingProgram, startServer } from './server.mjs'

export const missing = () =>
  missingProgram('mariadbd', 'mariadb-server') ?? missingProgram('mariadb-install-db', 'mariadb-server')

/** `args` are mariadbd's own, e.g. ['--read-only=1'] or ['--max-connections=10']. */
export function start({ port = 0, args = [] } = {}) {
  const data = (folder) => join(folder, 'data')
  return startServer({
    name: 'mariadb',
    port,
    command: find('mariadbd'),
    prepare(folder) {
      if (as.uid !== undefined) chownSync(folder, as.uid, as.gid)
      const made = spawnSync(
        find('mariadb-install-db'),
        [
          '--no-defaults',
          `--datadir=${data(folder)}`,
          '--auth-root-authentication-method=normal',
          '--skip-name-resolve',
        ],
        { cwd: folder, encoding: 'utf8', ...as },
      )
      if (made.status !== 0) throw new Error(`mariadb-install-db: ${made.stdout}${made.stderr}`)
    },
    args: (p, folder) =>
      [
        '--no-defaults',
        `--datadir=${data(folder)}`,
        `--socket=${join(folder, 's.sock')}`,
        `--bind-address=${HOST}`,
        `--port=${p}`,
        '--skip-name-resolve',
        '--innodb-flush-log-at-trx-commit=0',
        '--innodb-buffer-pool-size=16M',
        ...args,
      ].map(String),
    as,
    // The greeting of the protocol: the version is in it, as text.
    isReady: async (p) => (await ask(p, '')).includes('MariaDB'),
    url: (p) => `mysql://root@${HOST}:${p}/test`,
  })
}

/** The server refuses to run as root: then it runs as the user that its package has made. */
const as = process.getuid() === 0 ? mysqlUser() : {}

function mysqlUser() {
  const id = (flag) => Number(spawnSync('id', [flag, 'mysql'], { encoding: 'utf8' }).stdout)
  return { uid: id('-u'), gid: id('-g') }
}

await byHand(import.meta.url, { missing, start })
