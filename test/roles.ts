// A service in several processes (who answers, who works) on one ledger folder and one collector: what each test of a queue begins with.
import { get, startPreloaded, tempDir, type NodeUnderTest, type PreloadedApp } from '@afterspan/testing'
import { startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { listening, traceIdOf } from './app.ts'

export interface RolesOptions {
  readonly app: string
  readonly node: NodeUnderTest
  /** Of every process, beside ROLE and the service's name. */
  readonly env: Readonly<Record<string, string>>
}

export interface Roles {
  readonly sink: OtlpSink
  readonly ledgerDir: string
  /** The one that answers: ROLE=web. It is listening. */
  readonly web: PreloadedApp
  readonly url: string
  readonly admin: string
  /** One more process; what it prints and how it ends is the test's business. */
  start(role: string, env?: Readonly<Record<string, string>>): PreloadedApp
  /** One that has said `ready`. */
  startReady(role: string, env?: Readonly<Record<string, string>>): Promise<PreloadedApp>
  /** Asks the one that answers, and returns the trace that the answer names. */
  ask(path: string): Promise<string>
  /** What all of them printed on stderr: they are expected to be silent. */
  stderr(): string
  /** Kills what still lives, and the collector. */
  stop(): Promise<void>
}

export async function startRoles({ app, node, env }: RolesOptions): Promise<Roles> {
  const sink = await startOtlpSink()
  const ledgerDir = tempDir('ledger')
  const started: PreloadedApp[] = []
  const start: Roles['start'] = (role, more = {}) => {
    // Spans are told soon: what is asked of them here is not when they come.
    const given = { OTEL_BSP_SCHEDULE_DELAY: '50', ...env, ROLE: role, OTEL_SERVICE_NAME: role, ...more }
    const child = startPreloaded({ app, node: node.path, sink, ledgerDir, env: given })
    started.push(child)
    return child
  }
  const web = start('web')
  const url = await listening(web)
  return {
    sink,
    ledgerDir,
    web,
    url,
    admin: await web.adminUrl(),
    start,
    async startReady(role, more) {
      const child = start(role, more)
      await child.waitForLine(/^ready$/)
      return child
    },
    ask: async (path) => traceIdOf(await get(`${url}${path}`)),
    stderr: () => started.map((child) => child.stderr).join(''),
    async stop() {
      await Promise.all(started.map((child) => child.stop()))
      await sink.close()
    },
  }
}
