import { say } from '../diag.ts'
import type { ModuleHooks } from './hooks.ts'

/** Agents of others that patch the same modules, by how they are loaded. */
const AGENTS: Readonly<Record<string, readonly string[]>> = {
  '@appsignal/nodejs': [''],
  '@elastic/opentelemetry-node': ['', '/require.js', '/import.mjs'],
  '@instana/collector': ['', '/src/immediate', '/esm-register.mjs'],
  '@opentelemetry/auto-instrumentations-node': ['/register'],
  '@splunk/otel': ['', '/instrument'],
  applicationinsights: [''],
  'dd-trace': ['', '/init', '/init.js', '/initialize.mjs', '/register.js'],
  'elastic-apm-node': ['', '/start', '/start.js'],
  newrelic: ['', '/esm-loader.mjs'],
}

/** Names an agent that is beside us, or is about to be: both would make spans of the same requests. */
export function watchNeighbours(hooks: Pick<ModuleHooks, 'whenAsked'>): void {
  for (const [name, entries] of Object.entries(AGENTS)) {
    const tell = (): void => {
      say(
        'AFS_NEIGHBOUR',
        `${name} is loaded too, and traces the same requests: they are recorded twice, and each patches what the other has patched. Use one of the two.`,
        name,
      )
    }
    hooks.whenAsked(
      entries.map((entry) => name + entry),
      tell,
    )
    if (isLoaded(name)) tell()
  }
}

function isLoaded(name: string): boolean {
  return Object.keys(require.cache).some((file) => file.replaceAll('\\', '/').includes(`/node_modules/${name}/`))
}
