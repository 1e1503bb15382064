// What others do the same, installed when it is asked for: each brings a tree of packages that nothing else here needs.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { pathToFileURL } from 'node:url'

/** By the name that `--against` takes: the package, and how its documentation starts it with all traces kept. */
const OTHERS = {
  elastic: {
    name: '@elastic/opentelemetry-node',
    version: '1.18.0',
    start: ({ url }) => ({
      args: ['--import', url('@elastic/opentelemetry-node')],
      env: { ELASTIC_OTEL_METRICS_DISABLED: 'true', OTEL_METRICS_EXPORTER: 'none' },
    }),
  },
  sentry: {
    name: '@sentry/node',
    version: '11.12.0',
    start: ({ collectorUrl, file }) => {
      const dsn = JSON.stringify(collectorUrl.replace('//', '//key@') + '/1')
      const text = `import * as Sentry from '@sentry/node'\nSentry.init({ dsn: ${dsn}, tracesSampleRate: 1 })\n`
      return { args: ['--import', file('sentry.mjs', text)], env: {} }
    },
  },
  'dd-trace': {
    name: 'dd-trace',
    version: '6.21.0',
    start: ({ collectorUrl, path }) => ({
      args: ['--require', path('dd-trace/init')],
      env: {
        DD_TRACE_AGENT_URL: collectorUrl,
        DD_TRACE_SAMPLE_RATE: '1',
        DD_TRACE_RATE_LIMIT: '-1',
        DD_TRACE_STARTUP_LOGS: 'false',
        DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
        DD_REMOTE_CONFIGURATION_ENABLED: 'false',
      },
    }),
  },
}
/** Of health, by the name that `--against` takes: the packages. What they are started by is in apps/health-others.cjs. */
const NEST = '12.5.1'
const OTHERS_OF_HEALTH = {
  'nestjs-terminus': {
    '@nestjs/terminus': '12.1.0',
    '@nestjs/common': NEST,
    '@nestjs/core': NEST,
    '@nestjs/platform-express': NEST,
    'reflect-metadata': '0.2.2',
    rxjs: '7.8.2',
  },
  lightship: { lightship: '9.0.4' },
  'under-pressure': { '@fastify/under-pressure': '9.2.0', fastify: '5.12.8' },
}
export const OTHER_NAMES = [...Object.keys(OTHERS), ...Object.keys(OTHERS_OF_HEALTH)]

let asked = []
let askedOfHealth = []

/** Installs them by npm's registry, once on a machine. Throws with what the installer said. */
export function installOthers(names) {
  const chosen = (all) => names.filter((name) => Object.hasOwn(all, name))
  asked = chosen(OTHERS).map((name) => {
    const { name: main, version } = OTHERS[name]
    return { name, folder: install({ [main]: version }) }
  })
  askedOfHealth = chosen(OTHERS_OF_HEALTH).map((name) => ({ name, folder: install(OTHERS_OF_HEALTH[name]) }))
}

/** By name, the folder in which each of those of health is that were installed. */
export function otherHealth() {
  return Object.fromEntries(askedOfHealth.map(({ name, folder }) => [name, folder]))
}

/** Of those that were installed. */
export function otherContestants(collectorUrl) {
  return Object.fromEntries(
    asked.map(({ name, folder }) => {
      const { resolve } = createRequire(join(folder, 'index.js'))
      const file = (base, text) => {
        writeFileSync(join(folder, base), text)
        return pathToFileURL(join(folder, base)).href
      }
      const url = (specifier) => file(`${name}.mjs`, `import ${JSON.stringify(specifier)}\n`)
      return [name, OTHERS[name].start({ collectorUrl, file, path: resolve, url })]
    }),
  )
}

/** The first of the packages is the one that it is about. */
function install(packages) {
  const [[name, version]] = Object.entries(packages)
  const folder = join(tmpdir(), 'afterspan-bench-others', `${name.replaceAll(/\W+/g, '-')}-${version}`)
  if (existsSync(join(folder, 'node_modules', name))) return folder
  console.error(`bench: installing ${name} ${version} …`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: packages }))
  const pnpm = ['-y', 'pnpm@12.21.0', 'install', '--ignore-workspace', '--ignore-scripts', '--no-lockfile']
  const { status, stderr, stdout } = spawnSync('npx', pnpm, { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(`bench: ${name} ${version} could not be installed: ${stderr}${stdout}`)
  return folder
}
