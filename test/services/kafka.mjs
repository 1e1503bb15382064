// node test/services/kafka.mjs [port]: one Kafka broker that is its own controller (KRaft). Topics are made when they are first used,
// with one partition each. Its jars are fetched by install.sh, with Maven.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ask, byHand, find, freePort, HOST, missingProgram, startServer } from './server.mjs'

/** The same in install.sh. */
const VERSION = '4.4.0'
const JAVA = [
  '-Xms64m',
  '-Xmx256m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]
/** ApiVersions, version 0: the first question that every client asks. */
const HELLO = '\0\0\0\x0a\0\x12\0\0\0\0\0\x01\0\0'

export const missing = () =>
  missingProgram('java', 'default-jre-headless') ??
  (existsSync(join(jars(), `kafka-clients-${VERSION}.jar`))
    ? undefined
    : `Kafka ${VERSION} is not in ${jars()}: run test/services/install.sh, which fetches it with Maven`)

/** `properties` are the broker's own, e.g. { 'message.max.bytes': 2000 }. */
export async function start({ port = 0, properties = {} } = {}) {
  let controllerPort
  return startServer({
    name: 'kafka',
    port,
    command: find('java'),
    async prepare(folder) {
      controllerPort = await freePort() // a new one for each try: somebody may have taken it in between
      await format(folder, controllerPort, properties)
    },
    args: (p, folder) => [
      ...JAVA,
      '-cp',
      join(jars(), '*'),
      'kafka.Kafka',
      configure(folder, { port: p, controllerPort, properties }),
    ],
    isReady: async (p) => (await ask(p, HELLO)) !== '',
    url: (p) => `${HOST}:${p}`,
    stopSignal: 'SIGKILL', // nothing of it is kept, and its own way out takes seconds
  })
}

/** Without it the broker would start too, and with the features of old versions. */
async function format(folder, controllerPort, properties) {
  const file = configure(folder, { port: 0, controllerPort, properties })
  const id = randomBytes(16).toString('base64url').replace(/^-/, 'A')
  const args = [...JAVA, '-cp', join(jars(), '*'), 'kafka.tools.StorageTool', 'format', '-t', id, '-c', file]
  await promisify(execFile)(find('java'), args)
}

/** The path of the broker's configuration. */
function configure(folder, { port, controllerPort, properties }) {
  const file = join(folder, 'server.properties')
  const lines = Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${HOST}:${controllerPort}`,
    listeners: `PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${port || controllerPort + 1}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': join(folder, 'data'),
    'num.partitions': 1,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    ...properties,
  }).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(file, lines.join(''))
  return file
}

function jars() {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'afterspan-tests', `kafka-${VERSION}`)
}

await byHand(import.meta.url, { missing, start })
