// OTEL_CONFIG_FILE: OpenTelemetry's declarative configuration. The official parser reads and validates it, where the app has that;
// what it says becomes the variables that say the same. Pure but for `loadConfigFile`. Loaded only where the variable is set.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

type Tree = Record<string, unknown>
type Variables = Record<string, string>
export interface FileSettings {
  readonly isDisabled: boolean
  readonly variables: Readonly<Variables>
  /** It asks for the name that OTEL_SERVICE_NAME gives, and has none itself. */
  readonly isNamedByVariable: boolean
  /** What stands in the file and has no variable: 'tracer_provider.processors[1].batch'. */
  readonly unused: readonly string[]
}

/** Throws with the reason, in words for people. */
export function loadConfigFile(mainScript: string | undefined): FileSettings {
  const parser = loadParser([mainScript ? dirname(mainScript) : process.cwd(), process.cwd(), __dirname])
  return settingsOf(parser.createConfigFactory().getConfigModel())
}

interface Parser {
  createConfigFactory(): { getConfigModel(): object }
}

/** `@opentelemetry/configuration`, or the one of `@opentelemetry/sdk-node`. */
function loadParser(folders: readonly string[]): Parser {
  for (const folder of folders)
    for (const through of [[], ['@opentelemetry/sdk-node']])
      try {
        let from = join(folder, 'package.json')
        for (const name of through) from = createRequire(from).resolve(name)
        const path = createRequire(from).resolve('@opentelemetry/configuration')
        return createRequire(path)(path) as Parser
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
      }
  throw new Error('it is read by the package @opentelemetry/configuration 0.300 or later, which is not installed')
}

export function settingsOf(model: object): FileSettings {
  const tree = withoutEmpty(model) as Tree
  const variables: Variables = {}
  const isDisabled = take(tree, 'disabled') === true
  const level = take(tree, 'log_level')
  if (typeof level === 'string') variables['OTEL_LOG_LEVEL'] = LEVELS[level.replace(/\d$/, '')] ?? level
  take(tree, 'file_format')
  const isNamedByVariable = resource(branch(tree, 'resource'), variables)
  propagators(branch(tree, 'propagator'), variables)
  put(variables, branch(tree, 'attribute_limits'), {
    attribute_count_limit: 'OTEL_ATTRIBUTE_COUNT_LIMIT',
    attribute_value_length_limit: 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
  })
  tracer(branch(tree, 'tracer_provider'), variables)
  meter(branch(tree, 'meter_provider'), variables)
  logger(branch(tree, 'logger_provider'), variables)
  return { isDisabled, variables, isNamedByVariable, unused: [...leaves(tree, '')] }
}

const LEVELS: Readonly<Record<string, string>> = { trace: 'verbose', fatal: 'error' }

/** Those that look where OTEL_NODE_RESOURCE_DETECTORS can send them. */
const DETECTORS: Readonly<Record<string, string>> = { host: 'host', process: 'process', service: 'serviceinstance' }

function resource(tree: Tree, variables: Variables): boolean {
  const pairs = new Map<string, unknown>()
  for (const [name, value] of listed(take(tree, 'attributes_list'))) pairs.set(name, value)
  for (const { name, value } of items(take(tree, 'attributes'))) pairs.set(textOf(name), value)
  if (pairs.size > 0) variables['OTEL_RESOURCE_ATTRIBUTES'] = encoded(pairs)
  const asked = new Set<string>()
  for (const detector of items(branch(tree, 'detection/development')['detectors']))
    for (const [name, variable] of Object.entries(DETECTORS))
      if (name in detector) {
        branch(detector, name)
        asked.add(variable)
      }
  if (asked.size > 0) variables['OTEL_NODE_RESOURCE_DETECTORS'] = ['env', ...asked].join(',')
  return asked.has('serviceinstance') && !pairs.has('service.name')
}

/** By the specification nothing is propagated where nothing is said. */
function propagators(tree: Tree, variables: Variables): void {
  const names = items(take(tree, 'composite')).flatMap((item) => Object.keys(item))
  const more = textOf(take(tree, 'composite_list') ?? '').split(',')
  const all = [...names, ...more].map((name) => name.trim()).filter((name) => name !== '')
  variables['OTEL_PROPAGATORS'] = all.length > 0 ? [...new Set(all)].join(',') : 'none'
}

function tracer(tree: Tree, variables: Variables): void {
  put(variables, branch(tree, 'limits'), {
    attribute_count_limit: 'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT',
    attribute_value_length_limit: 'OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT',
    event_count_limit: 'OTEL_SPAN_EVENT_COUNT_LIMIT',
    link_count_limit: 'OTEL_SPAN_LINK_COUNT_LIMIT',
    event_attribute_count_limit: 'OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT',
    link_attribute_count_limit: 'OTEL_LINK_ATTRIBUTE_COUNT_LIMIT',
  })
  sampler(branch(tree, 'sampler'), variables)
  const exporters = new Set<string>()
  for (const processor of items(tree['processors'])) {
    const [kind] = Object.keys(processor)
    const inner = kind === 'batch' || kind === 'simple' ? branch(processor, kind) : {}
    const exporter = branch(inner, 'exporter')
    if ('console' in exporter) {
      take(exporter, 'console')
      exporters.add('console')
    } else if (!exporters.has('otlp') && ('otlp_http' in exporter || 'otlp_grpc' in exporter)) {
      otlp(exporter, variables, 'TRACES')
      exporters.add('otlp')
      // In the same turn of the event loop, or the next.
      if (kind === 'simple') variables['OTEL_BSP_SCHEDULE_DELAY'] = '0'
      put(variables, inner, {
        schedule_delay: 'OTEL_BSP_SCHEDULE_DELAY',
        export_timeout: 'OTEL_BSP_EXPORT_TIMEOUT',
        max_queue_size: 'OTEL_BSP_MAX_QUEUE_SIZE',
        max_export_batch_size: 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
      })
    }
  }
  variables['OTEL_TRACES_EXPORTER'] = exporters.size > 0 ? [...exporters].join(',') : 'none'
}

/** What a sampler by the parent does where nobody says otherwise. */
const BY_PARENT: Readonly<Record<string, string>> = {
  remote_parent_sampled: 'always_on',
  remote_parent_not_sampled: 'always_off',
  local_parent_sampled: 'always_on',
  local_parent_not_sampled: 'always_off',
}

function sampler(tree: Tree, variables: Variables): void {
  const isParentBased = 'parent_based' in tree
  const parent = branch(tree, 'parent_based')
  for (const [key, kind] of Object.entries(BY_PARENT)) branch(branch(parent, key), kind)
  const root = isParentBased ? branch(parent, 'root') : tree
  const kind = ['always_on', 'always_off', 'trace_id_ratio_based'].find((name) => name in root)
  if (!kind && (!isParentBased || Object.keys(root).length > 0)) return // none, or one that there is no variable for
  const ratio = kind === 'trace_id_ratio_based' ? take(branch(root, kind), 'ratio') : undefined
  take(root, kind ?? '')
  const name = { always_off: 'always_off', trace_id_ratio_based: 'traceidratio' }[kind ?? ''] ?? 'always_on'
  variables['OTEL_TRACES_SAMPLER'] = isParentBased ? `parentbased_${name}` : name
  if (ratio !== undefined && ratio !== null) variables['OTEL_TRACES_SAMPLER_ARG'] = textOf(ratio)
}

function otlp(exporter: Tree, variables: Variables, signal: 'LOGS' | 'METRICS' | 'TRACES'): void {
  const name = (rest: string): string => `OTEL_EXPORTER_OTLP_${signal}_${rest}`
  const isGrpc = 'otlp_grpc' in exporter
  const tree = branch(exporter, isGrpc ? 'otlp_grpc' : 'otlp_http')
  const json = take(tree, 'encoding') === 'json' ? 'http/json' : 'http/protobuf'
  variables[name('PROTOCOL')] = isGrpc ? 'grpc' : json
  const headers = new Map<string, unknown>(listed(take(tree, 'headers_list')))
  for (const { name: header, value } of items(take(tree, 'headers')))
    if (value !== null && value !== undefined) headers.set(textOf(header), value)
  if (headers.size > 0) variables[name('HEADERS')] = encoded(headers)
  put(variables, tree, {
    endpoint: name('ENDPOINT'),
    compression: name('COMPRESSION'),
    timeout: name('TIMEOUT'),
  })
  put(variables, branch(tree, 'tls'), {
    ca_file: name('CERTIFICATE'),
    cert_file: name('CLIENT_CERTIFICATE'),
    key_file: name('CLIENT_KEY'),
    insecure: name('INSECURE'),
  })
}

function meter(tree: Tree, variables: Variables): void {
  const exporters = new Set<string>()
  for (const reader of items(tree['readers'])) {
    const pulled = branch(branch(reader, 'pull'), 'exporter')
    if ('prometheus/development' in pulled) {
      const prometheus = branch(pulled, 'prometheus/development')
      exporters.add('prometheus')
      put(variables, prometheus, { host: 'OTEL_EXPORTER_PROMETHEUS_HOST', port: 'OTEL_EXPORTER_PROMETHEUS_PORT' })
    }
    const periodic = branch(reader, 'periodic')
    const exporter = branch(periodic, 'exporter')
    const kind = ['otlp_http', 'otlp_grpc', 'console'].find((name) => name in exporter)
    const name = kind === 'console' ? 'console' : 'otlp'
    if (kind === undefined || exporters.has(name)) continue
    exporters.add(name)
    put(variables, branch(exporter, kind), {
      temporality_preference: 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE',
      default_histogram_aggregation: 'OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION',
    })
    if (kind === 'console') take(exporter, 'console')
    else otlp(exporter, variables, 'METRICS')
    put(variables, periodic, { interval: 'OTEL_METRIC_EXPORT_INTERVAL', timeout: 'OTEL_METRIC_EXPORT_TIMEOUT' })
  }
  variables['OTEL_METRICS_EXPORTER'] = exporters.size > 0 ? [...exporters].join(',') : 'none'
}

function logger(tree: Tree, variables: Variables): void {
  const exporters = new Set<string>()
  put(variables, branch(tree, 'limits'), {
    attribute_count_limit: 'OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT',
    attribute_value_length_limit: 'OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT',
  })
  for (const processor of items(tree['processors'])) {
    const kind = 'simple' in processor ? 'simple' : 'batch'
    const inner = branch(processor, kind)
    const exporter = branch(inner, 'exporter')
    if ('console' in exporter) {
      take(exporter, 'console')
      exporters.add('console')
    } else if (!exporters.has('otlp') && ('otlp_http' in exporter || 'otlp_grpc' in exporter)) {
      otlp(exporter, variables, 'LOGS')
      exporters.add('otlp')
      if (kind === 'simple') variables['OTEL_BLRP_SCHEDULE_DELAY'] = '0'
      put(variables, inner, {
        schedule_delay: 'OTEL_BLRP_SCHEDULE_DELAY',
        export_timeout: 'OTEL_BLRP_EXPORT_TIMEOUT',
        max_queue_size: 'OTEL_BLRP_MAX_QUEUE_SIZE',
        max_export_batch_size: 'OTEL_BLRP_MAX_EXPORT_BATCH_SIZE',
      })
    }
  }
  variables['OTEL_LOGS_EXPORTER'] = exporters.size > 0 ? [...exporters].join(',') : 'none'
}

// ---- the tree: what is taken is gone from it, and what is left at the end has found no use

function take(tree: Tree, key: string): unknown {
  const value = tree[key]
  delete tree[key]
  return value
}

/** What hangs at a key. Nothing where there is nothing: then the key is taken. */
function branch(tree: Tree, key: string): Tree {
  const value = tree[key]
  if (value === null) take(tree, key)
  return typeof value === 'object' && value !== null ? (value as Tree) : {}
}

function items(value: unknown): Tree[] {
  return Array.isArray(value) ? value.filter((item): item is Tree => typeof item === 'object' && item !== null) : []
}

function put(variables: Variables, tree: Tree, names: Readonly<Record<string, string>>): void {
  for (const [key, variable] of Object.entries(names)) {
    const value = take(tree, key)
    if (value !== undefined && value !== null) variables[variable] = textOf(value)
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** `key=value,key=value`, percent-encoded. */
function listed(value: unknown): [string, string][] {
  if (typeof value !== 'string') return []
  return value.split(',').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=')
    return at < 1 ? [] : [[decoded(pair.slice(0, at).trim()), decoded(pair.slice(at + 1).trim())]]
  })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function encoded(pairs: ReadonlyMap<string, unknown>): string {
  return [...pairs].map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(textOf(value))}`).join(',')
}

/** A copy in which an empty object is null, as YAML has it where only a name stands: what is empty later has been emptied. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
  return entries.length === 0 ? null : Object.fromEntries(entries.map(([key, inner]) => [key, withoutEmpty(inner)]))
}

/** Paths of what is left; what is empty was taken. */
function* leaves(value: unknown, path: string): Generator<string> {
  if (value === null || value === undefined) return
  if (typeof value !== 'object') {
    yield path
    return
  }
  for (const [key, inner] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`
    // A name alone, such as an exporter without settings.
    if (inner === null) yield at
    else yield* leaves(inner, at)
  }
}
