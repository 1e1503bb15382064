// Each integration is a bundle of its own, that a process loads when it loads the library in question: the preload has only what is said of it
// (name, module, versions), and whoever uses no queue pays for none.
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'

const INTERNAL = '@afterspan/core/internal'

/** The integrations of a folder: one file is one, and its export is the file's name in camel case. */
export function integrationsIn(folder) {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts') && file !== 'index.gen.ts')
    .map((file) => basename(file, '.ts'))
    .sort()
    .map((name) => ({ name, exported: name.replace(/-(\w)/g, (_, c) => c.toUpperCase()) }))
}

/** The files of their own that a list names: the probes of libraries' clients (client-hooks.ts), the queues that requests share (queue-hooks.ts), the clients of databases (clients.ts). */
export function filesNamedIn(list) {
  return [...new Set([...readFileSync(list, 'utf8').matchAll(/\bfile: '([\w-]+)'/g)].map(([, name]) => name))]
}

/** For the bundle of one integration: what it asks of core it gets from the preload bundle, which has it already. */
export const internalFromPreload = {
  name: 'internal-from-preload',
  setup(b) {
    b.onResolve({ filter: /^@afterspan\/core\/internal$/ }, ({ path }) => ({ path, namespace: 'preload' }))
    b.onLoad({ filter: /.*/, namespace: 'preload' }, () => ({
      contents: `module.exports = globalThis[Symbol.for('afterspan/1')].shared[${JSON.stringify(INTERNAL)}]`,
    }))
  },
}

/** For the preload bundle: in place of the integrations what is said of them; `patch` loads the rest. */
export function integrationsOutside(folder, bundleDir, integrations) {
  return {
    name: 'integrations-outside',
    setup(b) {
      b.onResolve({ filter: /\/integrations\/index\.gen\.ts$/ }, ({ path, resolveDir }) => ({
        path,
        namespace: 'integrations',
        pluginData: resolveDir,
      }))
      b.onLoad({ filter: /.*/, namespace: 'integrations' }, ({ pluginData: resolveDir }) => {
        const names = askedOfCore(folder)
        const rows = integrations.map(({ name, exported }) => {
          const { patch: _, ...said } = readBundle(join(bundleDir, `integration-${name}.js`))[exported]
          return `{ ...${JSON.stringify(said)}, patch: (exports, kit) => load(${JSON.stringify(name)}).${exported}.patch(exports, kit) }`
        })
        return {
          resolveDir,
          contents: `
            import { join } from 'node:path'
            import { ${[...new Set(['globalState', 'requireKept', ...names])].join(', ')} } from '${INTERNAL}'
            globalState().shared['${INTERNAL}'] = { ${names.join(', ')} }
            const load = (name) => requireKept(join(__dirname, 'integration-' + name + '.js'))
            export const integrations = [${rows.join(', ')}]`,
        }
      })
    },
  }
}

/** The names that the files of the folder import from core, types left out. */
function askedOfCore(folder) {
  const names = new Set()
  for (const file of readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.ts')))
    for (const [, list] of readFileSync(join(folder, file), 'utf8').matchAll(
      /^import \{([^}]*)\} from '@afterspan\/core\/internal'/gm,
    ))
      for (const name of list.split(',').map((part) => part.trim()))
        if (name && !name.startsWith('type ')) names.add(name)
  return [...names]
}

/** Here only what it says of itself is read: nothing of core is called. */
function readBundle(file) {
  const key = Symbol.for('afterspan/1')
  const before = globalThis[key]
  const anything = new Proxy({}, { get: () => () => {} })
  globalThis[key] = { shared: new Proxy({}, { get: () => anything }) }
  try {
    const require = createRequire(file)
    delete require.cache[file]
    return require(file)
  } finally {
    globalThis[key] = before
  }
}
