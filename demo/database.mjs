import { start } from '../test/services/postgres.mjs'

/** PostgreSQL from npm, in a folder of its own. `freeze` stops the postmaster and all of its children: with the postmaster alone, connections that are open go on working. */
export async function startDatabase() {
  const server = await start()
  return { url: server.url, freeze: server.freeze, thaw: server.thaw, stop: server.stop }
}
