import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'
import type { ResourceAttributes } from '../contracts/task.ts'
import { newUuid } from '../uuid.ts'

export const SDK_VERSION = '0.1.0'

/** Resource attributes, from what is at hand without asking the network: semconv `service.*`, `host.*`, `process.*`, `telemetry.*`. */
export function describeResource(input: {
  readonly serviceName: string
  readonly resourceAttributes: Readonly<Record<string, string>>
  readonly mainScript: string | undefined
  /** OTEL_NODE_RESOURCE_DETECTORS. */
  readonly resourceDetectors: readonly string[]
}): ResourceAttributes {
  const tells = (name: string): boolean =>
    input.resourceDetectors.includes('all') || input.resourceDetectors.includes(name)
  const given = tells('env') ? input.resourceAttributes : {}
  const { id, mainScript } = instanceOf(input.mainScript)
  const found = mainScript ? packageOfApp(mainScript) : undefined
  const name = input.serviceName || given['service.name'] || found?.name || 'unknown_service:node'
  const version = given['service.version'] ?? found?.version
  return {
    ...(tells('serviceinstance') ? { 'service.instance.id': id } : {}),
    ...(tells('host') ? { 'host.name': safeHostname() } : {}),
    ...(tells('process')
      ? {
          'process.pid': process.pid,
          'process.runtime.name': 'nodejs',
          'process.runtime.version': process.versions.node,
        }
      : {}),
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'opentelemetry',
    'telemetry.sdk.version': '3.0.0',
    'telemetry.distro.name': 'afterspan',
    'telemetry.distro.version': SDK_VERSION,
    ...(version ? { 'service.version': version } : {}),
    ...given,
    'service.name': name,
  }
}

/** A process is one instance of the service; its worker threads are parts of it, and take this over. */
interface Instance {
  readonly id: string
  readonly mainScript: string | undefined
}
const INSTANCE = 'afterspan.instance'

function instanceOf(mainScript: string | undefined): Instance {
  const given = getEnvironmentData(INSTANCE) as Instance | undefined
  if (given) return given
  const made = { id: newUuid(), mainScript }
  if (isMainThread) setEnvironmentData(INSTANCE, made)
  return made
}

interface Package {
  readonly name?: string
  readonly version?: string
}

/** Where a command of a package serves the app (`next start`), the app's package is the one that it was started in, or that has installed it. */
function packageOfApp(script: string): Package | undefined {
  const [holder = '', installed] = script.split(/[/\\]node_modules[/\\]/)
  if (installed === undefined) return nearestPackage(script)
  const cwd = safeCwd()
  return nearestPackage(`${cwd}/`.startsWith(`${holder}/`) ? cwd : holder) ?? nearestPackage(script)
}

/** `node .` names a folder. */
function nearestPackage(start: string): Package | undefined {
  for (let dir = start, depth = 0; depth < 12; depth++) {
    try {
      const found = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as { name?: unknown; version?: unknown }
      if (typeof found.name === 'string')
        return { name: found.name, ...(typeof found.version === 'string' ? { version: found.version } : {}) }
    } catch {
      /* not here: one folder up */
    }
    const up = dirname(dir)
    if (up === dir) return undefined
    dir = up
  }
  return undefined
}

function safeCwd(): string {
  try {
    return process.cwd()
  } catch {
    return ''
  }
}

function safeHostname(): string {
  try {
    return hostname()
  } catch {
    return 'unknown'
  }
}
