// What the doctor says of what it has seen. Pure but for the look into scripts, which is handed in.
import type { InstrumentationRow, LoadingReport } from '@afterspan/core/internal'
import type { Surroundings } from './surroundings.ts'
import type { Trial } from './trial.ts'

export interface Finding {
  /** A problem makes the exit code 1. */
  readonly level: 'well' | 'note' | 'problem'
  readonly about: string
  readonly text: string
  readonly todo?: string
}
type BundledIn = (script: string | undefined, packages: readonly string[]) => readonly string[] | undefined

/** Libraries that OpenTelemetry has an instrumentation for; one that is loaded and that Afterspan does not know is named. */
const ELSEWHERE = [
  '@confluentinc/kafka-javascript',
  '@grpc/grpc-js',
  '@hapi/hapi',
  '@nestjs/core',
  '@prisma/client',
  '@redis/client',
  'amqplib',
  'aws-sdk',
  'cassandra-driver',
  'connect',
  'fastify',
  'graphql',
  'kafkajs',
  'knex',
  'koa',
  'memcached',
  'mongodb',
  'mongoose',
  'mysql',
  'mysql2',
  'openai',
  'oracledb',
  'redis',
  'restify',
  'socket.io',
  'tedious',
]

export function findingsOf(around: Surroundings, trial: Trial, bundledIn: BundledIn): readonly Finding[] {
  return [
    ...ofEnd(trial),
    ...ofProcesses(trial),
    ...ofModules(trial),
    ...ofBundles(trial, bundledIn),
    ...ofApi(trial),
    ofCollector(around, trial),
    ...ofOthers(around),
    ofLedger(around),
    ofAdmin(around, trial),
    ...ofProbes(trial),
    ...ofLines(trial),
  ]
}

function ofEnd({ ended }: Trial): Finding[] {
  if (!ended || ended.code === 0) return []
  const how = ended.signal ?? `code ${ended.code}`
  return [
    {
      level: 'problem',
      about: 'command',
      text: `ended by itself with ${how} after ${ended.afterMs} ms`,
      todo: 'see what it says above',
    },
  ]
}

function ofProcesses({ processes }: Trial): Finding[] {
  if (processes.length === 0)
    return [
      {
        level: 'problem',
        about: 'preload',
        text: 'no process of the command has loaded Afterspan',
        todo: 'is it Node 22.15 or newer, is NODE_OPTIONS passed on, and are AFTERSPAN_DISABLED and OTEL_SDK_DISABLED unset?',
      },
    ]
  const seen = processes.map(nameOf).join(', ')
  const blind = processes.find(({ hooksImports }) => !hooksImports)
  const loaded: Finding = { level: 'well', about: 'preload', text: `loaded in ${seen}` }
  if (!blind) return [loaded]
  const text = `Node ${blind.node} cannot instrument ES modules`
  return [
    loaded,
    {
      level: 'note',
      about: 'Node',
      text,
      todo: 'Node 22.22.3, 24.11.1 or 26 can; CommonJS, HTTP and fetch are complete',
    },
  ]
}

function nameOf({ pid, threadId, argv, node }: LoadingReport): string {
  const script = argv[0]?.split('/').slice(-2).join('/') ?? '-e'
  return `${script} (pid ${pid}${threadId > 0 ? `, thread ${threadId}` : ''}, Node ${node})`
}

function ofModules({ processes }: Trial): Finding[] {
  const rows = new Map<string, Row>()
  for (const { instrumentation } of processes)
    for (const { module, ...row } of instrumentation) {
      const [, name = module, by = ''] = /^(\S+) \((.*)\)$/.exec(module) ?? []
      const key = `${name} ${row.version} ${row.state}`
      const found = rows.get(key) ?? { ...row, module: name, by: new Set() }
      found.by.add(/\((.*)\)/.exec(by)?.[1] ?? (by || 'spans'))
      rows.set(key, found)
    }
  const found = [...rows.values()].filter(({ module }) => module !== '@opentelemetry/api').map(ofRow)
  const covered = new Set([...rows.values()].map(({ module }) => module))
  const missed = packagesOf(processes, ({ loaded }) => Object.keys(loaded)).filter((name) => !covered.has(name))
  for (const name of missed.filter((n) => n !== '@opentelemetry/api'))
    found.push({
      level: 'problem',
      about: name,
      text: 'loaded, but its hook saw nothing of it',
      todo: 'please report it with the way in which it is loaded',
    })
  const watched = packagesOf(processes, (report) => report.watched)
  for (const name of packagesOf(processes, ({ asked }) => asked))
    if (ELSEWHERE.includes(name) && !watched.includes(name) && !covered.has(name))
      found.push({
        level: 'note',
        about: name,
        text: 'loaded; Afterspan has no instrumentation for it, so that its calls make no spans and work that it carries is not followed',
        todo: 'runTask and track follow such work by hand',
      })
  return found
}

interface Row extends InstrumentationRow {
  /** What of Afterspan looks at it: 'spans', 'health', the name of an integration. */
  readonly by: Set<string>
}

function ofRow({ module, version, state, range, by }: Row): Finding {
  const about = version ? `${module} ${version}` : module
  if (state === 'active')
    return { level: 'well', about, text: `instrumented${by.size > 1 ? `: ${[...by].join(', ')}` : ''}` }
  if (state === 'unsupported')
    return {
      level: 'problem',
      about,
      text: `unsupported: ${range ? `the range is ${range}` : 'its version is out of range'}`,
      todo: 'use a version in that range',
    }
  if (state === 'loaded_too_early')
    return {
      level: 'problem',
      about,
      text: 'loaded too early: before the preload',
      todo: 'let afterspan/register be the first --require; take other preloads out of NODE_OPTIONS or put them behind it',
    }
  if (state === 'no_hook')
    return {
      level: 'problem',
      about,
      text: 'not seen: this Node cannot instrument ES modules',
      todo: 'Node 22.22.3, 24.11.1 or 26 can',
    }
  return { level: 'problem', about, text: 'could not be instrumented', todo: 'the line above on stderr says why' }
}

function ofBundles({ processes }: Trial, bundledIn: BundledIn): Finding[] {
  const wanted = [...packagesOf(processes, ({ watched }) => watched), ...ELSEWHERE]
  return processes.flatMap(({ argv, threadId }): Finding[] => {
    const inside = threadId > 0 ? undefined : bundledIn(argv[0], wanted)
    if (!inside) return []
    const names = inside.length > 0 ? inside.join(', ') : 'its dependencies, whose names are not to be read in it,'
    const text = `bundled: ${names} inside of it cannot be seen; HTTP and fetch can`
    const todo = `leave them out of the bundle (esbuild --packages=external${inside[0] ? ` or --external:${inside[0]}` : ''}; webpack externals) and install them beside it`
    return [{ level: 'problem', about: argv[0]?.split('/').at(-1) ?? '', text, todo }]
  })
}

function ofApi({ processes }: Trial): Finding[] {
  const versions = new Set(
    processes.flatMap(({ instrumentation }) =>
      instrumentation.filter(({ module }) => module === '@opentelemetry/api').map(({ version }) => version),
    ),
  )
  if (versions.size === 0) return []
  const copies = [...versions].sort().join(' and ')
  const text = `the app has ${versions.size > 1 ? 'several copies: ' : 'its own copy, '}${copies}, beside Afterspan's`
  return [
    {
      level: versions.size > 1 ? 'note' : 'well',
      about: '@opentelemetry/api',
      text,
      ...(versions.size > 1
        ? { todo: 'copies of 1.x work together as long as none is newer than ours; one would be simpler' }
        : {}),
    },
  ]
}

function ofCollector({ collector }: Surroundings, { spans }: Trial): Finding {
  if (!collector)
    return {
      level: 'note',
      about: 'collector',
      text: 'spans go to none: OTEL_TRACES_EXPORTER',
      todo: 'unset it, or set it to otlp',
    }
  const { url, isWell, why } = collector
  if (!isWell)
    return {
      level: 'problem',
      about: 'collector',
      text: `${url} does not take spans: ${why}`,
      todo: 'OTEL_EXPORTER_OTLP_ENDPOINT is its base address (port 4318, or 4317 with OTEL_EXPORTER_OTLP_PROTOCOL=grpc); `npx afterspan sink` stands in for one',
    }
  const took = spans
    ? `; it took ${spans.exported} spans of this run${spans.dropped > 0 ? `, and ${spans.dropped} were dropped` : ''}`
    : ''
  return { level: spans && spans.dropped > 0 ? 'problem' : 'well', about: 'collector', text: `${url} answers${took}` }
}

/** Metrics and logs, where they are pushed. */
function ofOthers({ others }: Surroundings): Finding[] {
  return others.map(({ signal, url, isWell, why }) => {
    const about = `collector of ${signal}`
    if (isWell) return { level: 'well', about, text: `${url} answers` }
    const todo = `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT is its full address, OTEL_${signal.toUpperCase()}_EXPORTER says whether they are sent`
    return { level: 'problem', about, text: `${url} does not take ${signal}: ${why}`, todo }
  })
}

function ofLedger({ ledger }: Surroundings): Finding {
  if (ledger.trouble === undefined) return { level: 'well', about: 'ledger', text: ledger.dir }
  return {
    level: 'problem',
    about: 'ledger',
    text: ledger.trouble,
    todo: 'AFTERSPAN_LEDGER_DIR names a folder of the service’s own user, mode 700',
  }
}

function ofAdmin({ admin }: Surroundings, { adminUrl, ended }: Trial): Finding {
  if (adminUrl) return { level: 'well', about: 'admin listener', text: `${adminUrl}/metrics, /health` }
  if (admin.trouble)
    return {
      level: 'problem',
      about: 'admin listener',
      text: `${admin.address} cannot be had: ${admin.trouble}`,
      todo: 'another service has it: OTEL_EXPORTER_PROMETHEUS_PORT gives this one its own',
    }
  const why = ended
    ? 'the command ended before there was a reason'
    : 'the command neither listened, nor worked, nor ran for five seconds'
  return { level: 'note', about: 'admin listener', text: `${admin.address} is free, and was not opened: ${why}` }
}

function ofProbes({ probes }: Trial): Finding[] {
  if (!probes) return []
  return probes.map(({ name, status, code, output = code }) => ({
    level: status === 'pass' ? 'well' : status === 'fail' ? 'problem' : 'note',
    about: `health: ${name}`,
    text: status === 'pass' || !output ? status : `${status}: ${output}`,
    ...(status === 'fail'
      ? { todo: 'is it up, and has the app its address? docs/health.md has what each check looks at' }
      : {}),
  }))
}

/** What the preload said itself and no other finding tells. */
function ofLines({ lines, probes = [] }: Trial): Finding[] {
  const told = /^AFS_(HOOK_UNSUPPORTED|LOADED_TOO_EARLY|ADMIN_PORT_BUSY|LEDGER_DIR|EXPORT_FAILED) /
  const troubled = probes.filter(({ status }) => status !== 'pass').map(({ name }) => `AFS_HEALTH_CHANGED ${name} `)
  return [...new Set(lines)]
    .filter((line) => !told.test(line) && !troubled.some((start) => line.startsWith(start)))
    .map((line) => {
      const [code = ''] = line.split(' ', 1)
      return { level: 'problem', about: code, text: line.slice(code.length + 1), todo: `docs/errors.md, ${code}` }
    })
}

function packagesOf(processes: readonly LoadingReport[], of: (report: LoadingReport) => readonly string[]): string[] {
  return [...new Set(processes.flatMap(of))].sort()
}
