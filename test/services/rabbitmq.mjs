// node test/services/rabbitmq.mjs [port]: a RabbitMQ for guest and guest. It needs some seconds to start: one for each test file.
// Erlang's name server (epmd) is one of its own, in the same process group: Erlang would leave a daemon behind.
import { execFile } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ask, byHand, find, freePort, HOST, missingProgram, startServer } from './server.mjs'

// The one in PATH is a wrapper that asks who calls it.
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'
const CONTROL = '/usr/lib/rabbitmq/bin/rabbitmqctl'
const USER = 'rabbitmq'
const GREETING = 'AMQP\0\0\x09\x01'
// Nothing of it is worth an orderly end, which takes seconds: SIGTERM to the shell kills the whole group, and so
// does the end of a server that could not start: its name server would stay behind.
const SCRIPT = `trap 'kill -KILL 0' TERM; epmd -port "$ERL_EPMD_PORT" -address ${HOST} & ${SERVER} & wait $!; kill -KILL 0`

export function missing() {
  if (existsSync(SERVER)) return missingProgram('epmd', 'erlang-base')
  return 'rabbitmq-server is not there: run test/services/install.sh as root, or install the package rabbitmq-server'
}

/** `config` are lines of rabbitmq.conf, e.g. ['consumer_timeout = 1000']. `control` is rabbitmqctl, which takes seconds to say a word. */
export async function start({ port = 0, config = [] } = {}) {
  // Its files must belong to its user: Erlang reads no cookie of another.
  const as = process.getuid?.() === 0 ? debianUser() : {}
  const ports = {}
  let home
  const server = await startServer({
    name: 'rabbitmq',
    port,
    command: find('env'),
    async prepare(folder) {
      // new ones for each try: somebody may have taken them in between
      Object.assign(ports, { distribution: await freePort(), names: await freePort() })
      configure(folder, as, config)
      home = folder
    },
    args: (p, folder) => [...settings(p, folder, ports), 'sh', '-c', SCRIPT],
    as,
    isReady: async (p) => (await ask(p, GREETING)).includes('RabbitMQ'),
    url: (p) => `amqp://guest:guest@${HOST}:${p}`,
  })
  const env = [...settings(server.port, home, ports), 'RABBITMQ_CTL_ERL_ARGS=+S 1:1 +sbwt none']
  return {
    ...server,
    control: async (...args) => {
      await promisify(execFile)(find('env'), [...env, CONTROL, ...args], as)
    },
  }
}

function settings(port, folder, { distribution, names }) {
  return Object.entries({
    ERL_EPMD_ADDRESS: HOST,
    ERL_EPMD_PORT: names,
    HOME: folder,
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
    RABBITMQ_DIST_PORT: distribution,
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_NODE_IP_ADDRESS: HOST,
    RABBITMQ_NODE_PORT: port,
    RABBITMQ_NODENAME: `afterspan${port}@localhost`,
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    // one scheduler that does not spin: the machine has others to serve
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none',
  }).map(([name, value]) => `${name}=${value}`)
}

function configure(folder, { uid, gid }, config) {
  const files = {
    enabled_plugins: '[].',
    'rabbitmq.conf': ['log.console = true', 'log.console.level = warning', 'log.file = false', ...config, ''].join(
      '\n',
    ),
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  mkdirSync(join(folder, 'mnesia'))
  if (uid === undefined) return
  for (const name of ['', 'mnesia', ...Object.keys(files)]) chownSync(join(folder, name), uid, gid)
}

function debianUser() {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${USER}:`))
  if (!line) throw new Error(`there is no user ${USER}`)
  const [, , uid, gid] = line.split(':').map(Number)
  return { uid, gid }
}

await byHand(import.meta.url, { missing, start })
