// Queues, limits and pools of threads within the process that all requests share. Their libraries run what waits in the context of whoever made room for
// it, and an error that nobody catches there would be told of the wrong request: docs/decisions/stray-errors.md. Each is looked at
// when the app loads it; what follows it is a bundle of its own, but for fastq, which is in every Fastify app.
import { join } from 'node:path'
import { requireKept } from '../code-cache.ts'
import type { ModuleHook } from '../contracts/module-hook.ts'
import type { ModuleHooks } from '../instrument/hooks.ts'
import type * as AsyncLock from './async-lock.ts'
import type * as Async from './async.ts'
import type * as Bluebird from './bluebird.ts'
import type * as Bottleneck from './bottleneck.ts'
import type * as DataLoader from './dataloader.ts'
import { fastqHook } from './fastq.ts'
import type * as Lodash from './lodash.ts'
import type * as MySql2 from './mysql2.ts'
import type * as NestCqrs from './nest-cqrs.ts'
import type * as NestEventEmitter from './nest-event-emitter.ts'
import type * as NextAfter from './next-after.ts'
import type * as RxJs from './rxjs.ts'
import type * as Srvx from './srvx.ts'
import type * as ThreadPool from './thread-pool.ts'

interface SharedQueue extends Omit<ModuleHook, 'patch'> {
  /** queues/<file>.ts, a bundle of its own. */
  readonly file: string
  patch(file: any, exports: any): unknown
}

export const SHARED_QUEUES: readonly SharedQueue[] = [
  {
    name: 'async',
    module: 'async',
    versions: '>=3.0.0 <4',
    file: 'async',
    patch: ({ patchAll }: typeof Async, exports) => patchAll(exports),
  },
  {
    name: 'async (queue)',
    module: 'async',
    files: ['internal/queue.js'],
    versions: '>=3.0.0 <4',
    file: 'async',
    patch: ({ patchQueue }: typeof Async, exports) => patchQueue(exports),
  },
  {
    name: 'async (memoize)',
    module: 'async',
    files: ['memoize.js'],
    versions: '>=3.0.0 <4',
    file: 'async',
    patch: ({ patchMemoize }: typeof Async, exports) => patchMemoize(exports),
  },
  {
    name: 'async-lock',
    module: 'async-lock',
    versions: '>=1.1.0 <2',
    file: 'async-lock',
    patch: ({ patch }: typeof AsyncLock, exports) => patch(exports),
  },
  {
    name: 'bluebird',
    module: 'bluebird',
    versions: '>=3.7.0 <4',
    file: 'bluebird',
    patch: ({ patch }: typeof Bluebird, exports) => patch(exports),
  },
  {
    name: 'bottleneck',
    module: 'bottleneck',
    files: ['lib/Bottleneck.js', 'light.js', 'es5.js'],
    versions: '>=2.0.0 <3',
    file: 'bottleneck',
    patch: ({ patch }: typeof Bottleneck, exports) => patch(exports),
  },
  {
    name: 'dataloader',
    module: 'dataloader',
    versions: '>=2.0.0 <3',
    file: 'dataloader',
    patch: ({ patch }: typeof DataLoader, exports) => patch(exports),
  },
  {
    name: 'lodash',
    module: 'lodash',
    versions: '>=4.0.0 <5',
    file: 'lodash',
    patch: ({ patch }: typeof Lodash, exports) => patch(exports),
  },
  ...['debounce', 'throttle'].flatMap((name) => [
    {
      name: `lodash (${name})`,
      module: 'lodash',
      files: [`${name}.js`],
      versions: '>=4.0.0 <5',
      file: 'lodash',
      patch: ({ patch }: typeof Lodash, exports: any) => patch(exports, name),
    },
    {
      name: `lodash.${name}`,
      module: `lodash.${name}`,
      versions: '>=4.0.0 <5',
      file: 'lodash',
      patch: ({ patch }: typeof Lodash, exports: any) => patch(exports, name),
    },
    {
      name: `lodash-es (${name})`,
      module: 'lodash-es',
      files: [`${name}.js`],
      hasModules: true as const,
      imports: [`lodash-es/${name}.js`],
      versions: '>=4.0.0 <5',
      file: 'lodash',
      patch: ({ patch }: typeof Lodash, exports: any) => patch(exports, name),
    },
  ]),
  {
    name: 'mysql2 (command)',
    module: 'mysql2',
    files: ['lib/commands/command.js'],
    versions: '>=2.0.0 <4',
    file: 'mysql2',
    patch: ({ patchCommand }: typeof MySql2, exports) => patchCommand(exports),
  },
  {
    name: 'mysql2 (connection)',
    module: 'mysql2',
    files: ['lib/base/connection.js', 'lib/connection.js'],
    versions: '>=2.0.0 <4',
    file: 'mysql2',
    patch: ({ patchConnection }: typeof MySql2, exports) => patchConnection(exports),
  },
  {
    name: 'mysql2 (pool)',
    module: 'mysql2',
    files: ['lib/base/pool.js', 'lib/pool.js'],
    versions: '>=2.0.0 <4',
    file: 'mysql2',
    patch: ({ patchPool }: typeof MySql2, exports) => patchPool(exports),
  },
  {
    name: '@nestjs/cqrs',
    module: '@nestjs/cqrs',
    files: ['dist/event-bus.js'],
    hasModules: true,
    versions: '>=10.2.3 <13',
    file: 'nest-cqrs',
    patch: ({ patch }: typeof NestCqrs, exports) => patch(exports),
  },
  {
    name: '@nestjs/event-emitter',
    module: '@nestjs/event-emitter',
    files: ['dist/event-subscribers.loader.js'],
    hasModules: true,
    versions: '>=2.0.4 <13',
    file: 'nest-event-emitter',
    patch: ({ patch }: typeof NestEventEmitter, exports) => patch(exports),
  },
  {
    name: 'next (after)',
    module: 'next',
    files: ['dist/server/app-render/work-async-storage.external.js'],
    versions: '>=15.0.0 <17',
    file: 'next-after',
    patch: ({ patch }: typeof NextAfter, exports) => patch(exports),
  },
  {
    name: 'rxjs',
    module: 'rxjs',
    files: ['dist/cjs/internal/operators/mergeInternals.js'],
    versions: '>=7.0.0 <8',
    file: 'rxjs',
    patch: ({ patch }: typeof RxJs, exports) => patch(exports),
  },
  ...['audit', 'debounce', 'debounceTime', 'throttle'].map((name) => ({
    name: `rxjs (${name})`,
    module: 'rxjs',
    files: [`dist/cjs/internal/operators/${name}.js`],
    versions: '>=7.0.0 <8',
    file: 'rxjs',
    patch: ({ patchLast }: typeof RxJs, exports: any) => patchLast(exports, name),
  })),
  {
    name: 'srvx',
    module: 'srvx',
    files: ['dist/_chunks/_utils.mjs', 'dist/_chunks/_utils2.mjs'],
    hasModules: true,
    versions: '>=0.9.0 <2',
    file: 'srvx',
    patch: ({ patch }: typeof Srvx, exports) => patch(exports),
  },
  ...[
    { name: 'piscina', versions: '>=4.0.0 <6', method: 'run' },
    { name: 'poolifier', versions: '>=4.0.0 <6', method: 'execute' },
    { name: 'tinypool', versions: '>=1.0.0 <3', method: 'run' },
    { name: 'workerpool', versions: '>=9.0.0 <11', method: 'exec', files: ['src/Pool.js'] },
  ].map(({ name, method, ...more }) => ({
    name,
    module: name,
    file: 'thread-pool',
    patch: ({ patch }: typeof ThreadPool, exports: any) => patch(exports, name, method),
    ...more,
  })),
]

export function watchQueues(bundleDir: string, hooks: Pick<ModuleHooks, 'add'>): void {
  hooks.add(fastqHook)
  for (const { file, patch, ...said } of SHARED_QUEUES)
    hooks.add({
      ...said,
      isQuiet: true,
      patch: (exports) => patch(requireKept(join(bundleDir, `queue-${file}.js`)), exports),
    })
}
