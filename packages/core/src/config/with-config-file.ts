import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { say } from '../diag.ts'
import type { Env } from './load.ts'
import { appScript } from './pm2.ts'

/** What no file of the declarative configuration says, or need not say: these stay. */
const STAYS = /^OTEL_(?:CONFIG_FILE|NODE_\w+|LOG_LEVEL|EXPORTER_PROMETHEUS_(?:HOST|PORT))$/

/** The environment, where OTEL_CONFIG_FILE names a file with its variables in place of OpenTelemetry's own. A file that cannot be used is said and left out. */
export function withConfigFile(env: Env): { readonly variables: Env; readonly isDisabled: boolean } {
  const file = env['OTEL_CONFIG_FILE']
  if (!file) return { variables: env, isDisabled: false }
  try {
    // Beside the bundle, and beside this file where there is none.
    const { loadConfigFile } = require(join(__dirname, 'config-file.js')) as typeof import('./config-file.ts')
    const { variables, isDisabled, isNamedByVariable, unused } = loadConfigFile(appScript())
    if (unused.length > 0 && isMainThread)
      say('AFS_CONFIG_UNSUPPORTED', `OTEL_CONFIG_FILE: not acted on is ${shown(unused)}.`, 'OTEL_CONFIG_FILE')
    const stays = (name: string): boolean => STAYS.test(name) || (isNamedByVariable && name === 'OTEL_SERVICE_NAME')
    const rest = Object.entries(env).filter(([name]) => !name.startsWith('OTEL_') || stays(name))
    return { variables: { ...Object.fromEntries(rest), ...variables }, isDisabled }
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').slice(0, 300)
    const text = `OTEL_CONFIG_FILE=${JSON.stringify(file)} cannot be used: ${why}. The other variables are used instead.`
    if (isMainThread) say('AFS_CONFIG_INVALID', text, 'OTEL_CONFIG_FILE')
    return { variables: env, isDisabled: false }
  }
}

const MOST_SHOWN = 5

function shown(paths: readonly string[]): string {
  const more = paths.length - MOST_SHOWN
  return `${paths.slice(0, MOST_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
