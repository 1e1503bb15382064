import { afterAll, beforeAll } from 'vitest'
import {
  present,
  service,
  type MissingServer,
  type ServerOf,
  type ServerOptionsOf,
  type ServiceName,
} from './services.ts'

/** Some take their time, on a busy machine. */
const START_MS = 120_000

/** One server for the tests of a file, started before the first and stopped after the last. Each asks for it with its own context: where the machine has none it is skipped with the reason. */
export function sharedService<N extends ServiceName>(
  name: N,
  options?: ServerOptionsOf[N],
): (context: Parameters<typeof present>[1]) => ServerOf[N] {
  let found: ServerOf[N] | MissingServer
  beforeAll(async () => {
    found = await service(name, options)
  }, START_MS)
  afterAll(async () => {
    if (!('missing' in found)) await found.stop()
  })
  return (context) => present<ServerOf[N]>(found, context)
}
