// node test/services/redis-cluster.mjs: three masters with all 16384 slots, no replicas; the address is the first one's.
import { setTimeout as delay } from 'node:timers/promises'
import { ask, byHand, freePort, HOST, missingProgram } from './server.mjs'
import { start as startRedis } from './redis.mjs'

const SLOTS = [
  [0, 5460],
  [5461, 10922],
  [10923, 16383],
]
const TOGETHER_MS = 20_000

export const missing = () => missingProgram('redis-server', 'redis-server')

export async function start() {
  const nodes = []
  try {
    for (const slots of SLOTS) nodes.push(await startNode(slots))
    for (const { bus, server } of nodes.slice(1))
      await must(nodes[0].server, `CLUSTER MEET ${HOST} ${server.port} ${bus}`)
    await Promise.all(nodes.map(({ server }) => together(server)))
  } catch (error) {
    await stopAll(nodes)
    throw error
  }
  const servers = nodes.map(({ server }) => server)
  return {
    ...servers[0],
    nodes: servers,
    freeze: async () => void (await Promise.all(servers.map((s) => s.freeze()))),
    kill: async () => void (await Promise.all(servers.map((s) => s.kill()))),
    stop: () => stopAll(nodes),
    thaw: async () => void (await Promise.all(servers.map((s) => s.thaw()))),
  }
}

/** The bus port is a free one too: port + 10000, Redis' default, may be taken or above 65535. */
async function startNode([from, to]) {
  const bus = await freePort()
  const server = await startRedis({
    args: ['--cluster-enabled', 'yes', '--cluster-port', bus, '--cluster-node-timeout', 2000],
  })
  await must(server, `CLUSTER ADDSLOTSRANGE ${from} ${to}`)
  return { bus, server }
}

/** Each of the three has to see all of them: one may be ok while another still redirects to nowhere. */
async function together(server) {
  const deadline = performance.now() + TOGETHER_MS
  for (;;) {
    const info = await ask(server.port, 'CLUSTER INFO\r\n')
    if (/cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info)) return
    if (performance.now() > deadline) throw new Error(`redis-cluster is not one within ${TOGETHER_MS} ms:\n${info}`)
    await delay(50)
  }
}

async function must(server, command) {
  const answer = await ask(server.port, `${command}\r\n`)
  if (!answer.startsWith('+OK')) throw new Error(`redis-cluster: ${command}: ${answer || 'no answer'}`)
}

async function stopAll(nodes) {
  await Promise.all(nodes.map(({ server }) => server.stop()))
}

await byHand(import.meta.url, { missing, start })
