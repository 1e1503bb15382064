// The clients of databases whose questions are told. What does it is a bundle of its own for each, loaded when the app loads the client.
import { SpanKind, type Tracer } from '@opentelemetry/api'
import { join } from 'node:path'
import { requireKept } from '../code-cache.ts'
import type { ModuleHook } from '../contracts/module-hook.ts'
import { callIn } from '../sdk/call-in.ts'
import { OwnTracer } from '../sdk/own-tracer.ts'
import type { Teller } from './teller.ts'

interface DatabaseClient extends Omit<ModuleHook, 'patch'> {
  /** databases/<file>.ts, and the export of it that patches the module. */
  readonly file: string
  readonly patchedBy: string
}

const PG = { name: 'pg', versions: '>=8.0.3 <9', file: 'pg' }

export const DATABASE_CLIENTS: readonly DatabaseClient[] = [
  { ...PG, module: 'pg', patchedBy: 'patchPg' },
  // Also where somebody asks for them without the package's main file; the native one is loaded late.
  { ...PG, module: 'pg', files: ['lib/client.js', 'lib/native/client.js'], patchedBy: 'patchPgClient' },
  { ...PG, module: 'pg-pool', versions: '>=2.0.0 <4', patchedBy: 'patchPgPool' },
  {
    name: 'mysql2',
    module: 'mysql2',
    files: ['lib/base/connection.js', 'lib/connection.js'],
    versions: '>=2.0.0 <4',
    file: 'mysql2',
    patchedBy: 'patchMysql2',
  },
  {
    name: 'mongodb',
    module: 'mongodb',
    files: ['lib/cmap/connection.js'],
    versions: '>=6.4.0 <8',
    file: 'mongodb',
    patchedBy: 'patchMongodb',
  },
  { name: 'postgres', module: 'postgres', versions: '>=3.3.0 <4', file: 'postgres-js', patchedBy: 'patchPostgresJs' },
  { name: 'ioredis', module: 'ioredis', versions: '>=2.0.0 <7', file: 'ioredis', patchedBy: 'patchIoredis' },
  {
    name: 'redis',
    module: '@redis/client',
    files: ['dist/lib/client/index.js'],
    versions: '>=5.0.0 <7',
    file: 'node-redis',
    patchedBy: 'patchNodeRedis',
  },
]

type Patch = (exports: unknown, teller: Teller) => unknown

export function databaseHooks(
  bundleDir: string,
  { tracer, ...given }: Omit<Teller, 'callIn' | 'startSpan'> & { readonly tracer: () => Tracer },
): readonly ModuleHook[] {
  let teller: Teller | undefined
  return DATABASE_CLIENTS.map(({ file, patchedBy, ...said }) => ({
    ...said,
    patch(exports) {
      const bundle = requireKept(join(bundleDir, `database-${file}.js`)) as Record<string, Patch>
      teller ??= { ...given, startSpan: startingWith(tracer()), callIn }
      return bundle[patchedBy]!(exports, teller)
    },
  }))
}

function startingWith(tracer: Tracer): Teller['startSpan'] {
  return tracer instanceof OwnTracer
    ? (name, attributes, caller) => tracer.startClient(name, attributes, caller)
    : (name, attributes, caller) => tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, caller)
}
