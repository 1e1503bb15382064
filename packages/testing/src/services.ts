import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { testOptions } from './options.ts'
import { repositoryRoot } from './repository.ts'

/** A server that runs for the tests, on a free port, with its files in a folder of its own. */
export interface Server {
  readonly host: string
  readonly logFile: string
  readonly pid: number
  readonly port: number
  readonly url: string
  /** SIGSTOP to it and to all its children: the port stays open and nothing answers. Resolves when they stand still. */
  freeze(): Promise<void>
  /** SIGKILL to it and to all its children; resolves when they are gone. Its files stay until `stop`. */
  kill(): Promise<void>
  /** Ends it and removes its files; harmless when called twice, frozen or killed. */
  stop(): Promise<void>
  /** SIGCONT: takes `freeze` back. */
  thaw(): Promise<void>
}

export interface ServerOf {
  /** `url` takes OTLP over HTTP, `queryUrl` is asked for traces. Only where JAEGER_BIN names its program. */
  jaeger: Server & { readonly queryUrl: string }
  mariadb: Server
  /** `url` is host:port, as a client's list of brokers wants it. */
  kafka: Server
  nats: Server
  postgres: Server & { readonly database: string; readonly user: string }
  prometheus: Server & { readonly promtool: string }
  /** `control` is rabbitmqctl. */
  rabbitmq: Server & { control(...args: readonly string[]): Promise<void> }
  redis: Server
  /** Three masters; `url` is the first, `nodes` are all. */
  'redis-cluster': Server & { readonly nodes: readonly Server[] }
}
export type ServiceName = keyof ServerOf

export interface ServerOptionsOf {
  jaeger: { readonly port?: number }
  mariadb: { readonly args?: readonly string[]; readonly port?: number }
  kafka: { readonly port?: number; readonly properties?: Readonly<Record<string, number | string>> }
  nats: { readonly args?: readonly string[]; readonly port?: number }
  /** `data`: a folder that outlives the server, so that the next one can go on there; made where it is not there. */
  postgres: { readonly args?: readonly string[]; readonly port?: number; readonly data?: string }
  prometheus: {
    readonly port?: number
    readonly ruleFiles?: readonly string[]
    readonly scrapeIntervalMs?: number
    /** host:port of what is scraped. */
    readonly targets?: readonly string[]
  }
  /** `config` are lines of rabbitmq.conf. */
  rabbitmq: { readonly config?: readonly string[]; readonly port?: number }
  redis: { readonly args?: readonly string[]; readonly port?: number }
  'redis-cluster': Record<never, never>
}

/** No registry has them, so nobody can be asked to install them. */
const NEVER_REQUIRED: readonly ServiceName[] = ['jaeger']

/** A server that this machine does not have: why, and how to get it. */
export interface MissingServer {
  readonly missing: string
}

interface ServiceModule {
  /** Undefined when it can be started. */
  readonly missing: () => string | undefined
  readonly start: (options: unknown) => Promise<unknown>
}

/**
 * Starts a server of test/services for the tests. Where the machine has none, the answer is the reason;
 * with AFTERSPAN_TEST_REQUIRE_SERVICES=1 it rejects, so that no test is skipped unseen.
 */
export async function service<N extends ServiceName>(
  name: N,
  options: ServerOptionsOf[N] = {},
  isRequired: boolean = testOptions().isServiceRequired && !NEVER_REQUIRED.includes(name),
): Promise<ServerOf[N] | MissingServer> {
  const file = pathToFileURL(join(repositoryRoot(), `test/services/${name}.mjs`)).href
  const { missing, start } = (await import(/* @vite-ignore */ file)) as ServiceModule
  const reason = missing()
  if (reason === undefined) return (await start(options)) as ServerOf[N]
  if (isRequired) throw new Error(`${reason} (AFTERSPAN_TEST_REQUIRE_SERVICES=1: a missing server fails the test)`)
  return { missing: reason }
}

/** The server, or the end of this test: skipped, with the reason why there is none. `context` is what vitest gives to a test or a beforeEach; a beforeAll cannot skip. */
export function present<S extends object>(
  found: S | MissingServer,
  context: { skip(reason: string): never | void },
): S {
  if (!('missing' in found)) return found
  context.skip(found.missing)
  throw new Error(found.missing) // vitest's skip does not return; another's might
}
