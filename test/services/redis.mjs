// node test/services/redis.mjs [port]: a Redis that keeps nothing on disk.
import { ask, byHand, find, HOST, missingProgram, startServer } from './server.mjs'

export const missing = () => missingProgram('redis-server', 'redis-server')

/** `args` are redis-server's own, e.g. ['--maxmemory', '2mb'] or ['--replicaof', host, port]. */
export function start({ port = 0, args = [] } = {}) {
  return startServer({
    name: 'redis',
    port,
    command: find('redis-server'),
    args: (p, folder) =>
      ['--bind', HOST, '--port', p, '--dir', folder, '--save', '', '--appendonly', 'no', ...args].map(String),
    isReady: async (p) => (await ask(p, 'PING\r\n')).startsWith('+PONG'),
    url: (p) => `redis://${HOST}:${p}`,
  })
}

await byHand(import.meta.url, { missing, start })
