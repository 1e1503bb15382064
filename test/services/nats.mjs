// node test/services/nats.mjs [port]: a NATS server with JetStream.
import { join } from 'node:path'
import { ask, byHand, find, HOST, missingProgram, startServer } from './server.mjs'

export const missing = () => missingProgram('nats-server', 'nats-server')

/** `args` are nats-server's own, e.g. ['--user', 'a', '--pass', 'b']. */
export function start({ port = 0, args = [] } = {}) {
  return startServer({
    name: 'nats',
    port,
    command: find('nats-server'),
    args: (p, folder) => ['-a', HOST, '-p', p, '-js', '-sd', join(folder, 'jetstream'), ...args].map(String),
    // it listens before JetStream is there
    isReady: async (p, log) => log.includes('Server is ready') && (await ask(p, '')).startsWith('INFO'),
    url: (p) => `nats://${HOST}:${p}`,
  })
}

await byHand(import.meta.url, { missing, start })
