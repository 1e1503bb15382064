import { say } from '../diag.ts'
import type { ModuleHooks } from './hooks.ts'

/** Agents of others that patch the same modules. */
const AGENTS = [
  '@appsignal/nodejs',
  '@elastic/opentelemetry-node',
  '@instana/collector',
  '@opentelemetry/auto-instrumentations-node',
  '@splunk/otel',
  'applicationinsights',
  'dd-trace',
  'elastic-apm-node',
  'newrelic',
]
/** Files by which an agent is not begun: a list of names for spans, the instrumentations alone. */
const PARTS = /^(ext\/|(?!.*register)build\/src\/|package\.json$)/

/** Names an agent that is beside us, or is about to be: both would make spans of the same requests. */
export function watchNeighbours(hooks: Pick<ModuleHooks, 'whenLoaded'>): void {
  for (const name of AGENTS) {
    const tell = (): void => {
      say(
        'AFS_NEIGHBOUR',
        `${name} is loaded too, and traces the same requests: they are recorded twice, and each patches what the other has patched. Use one of the two.`,
        name,
      )
    }
    hooks.whenLoaded(name, (file) => {
      if (!PARTS.test(file)) tell()
    })
    if (isLoaded(name)) tell()
  }
}

function isLoaded(name: string): boolean {
  return Object.keys(require.cache).some((file) => file.replaceAll('\\', '/').includes(`/node_modules/${name}/`))
}
