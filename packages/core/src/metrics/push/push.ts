import type { CoreConfig } from '../../config/config.ts'
import type { ResourceAttributes } from '../../contracts/task.ts'
import { join } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'
import { requireKept } from '../../code-cache.ts'
import { say } from '../../diag.ts'
import type { LastSource } from '../../guard/last-words.ts'
import { exportFailures } from '../../sdk/otlp/failures.ts'
import { SDK_VERSION } from '../../sdk/resource.ts'
import { withoutTracing } from '../../sdk/suppress.ts'
import type { SideThread } from '../../side-thread/host.ts'
import type { AppMeters } from '../meter-provider.ts'
import type { MetricRegistry } from '../registry.ts'
import type { createPusher, Pusher } from './pusher.ts'

export interface PushDeps {
  readonly bundleDir: string
  readonly config: Pick<CoreConfig, 'push'>
  readonly resource: ResourceAttributes
  readonly metrics: MetricRegistry
  readonly meters: AppMeters
  readonly sideThread: Pick<SideThread, 'familiesBeside'>
}

/** Pushes metrics, where OTEL_METRICS_EXPORTER asks for it. What does it is loaded by the first interval, or by the end of a process that has counted something. */
export function pushMetrics(deps: PushDeps): LastSource | undefined {
  const { push } = deps.config
  if (!push) return undefined
  const startMs = Date.now()
  let pusher: Pusher | undefined
  let isFailed = false
  const load = (): Pusher | undefined => {
    if (pusher || isFailed) return pusher
    try {
      pusher = withoutTracing(() => make(deps, startMs))
    } catch (error) {
      isFailed = true
      const why = error instanceof Error ? error.message : String(error)
      say('AFS_BOOT_FAILED', `metrics are not pushed: ${why}. The app runs without that.`, 'push')
    }
    return pusher
  }
  setInterval(() => {
    void withoutTracing(() => load()?.push())
  }, push.intervalMs).unref()
  return (isEnd) => {
    if (!isEnd || (!pusher && !hasCounted(deps))) return undefined
    return load()?.takeLast()
  }
}

function make({ bundleDir, config, resource, metrics, meters, sideThread }: PushDeps, startMs: number): Pusher {
  const bundle = requireKept(join(bundleDir, 'metrics-push.js')) as { createPusher: typeof createPusher }
  const points = (name: string, help: string, labels: readonly string[] = []) => metrics.counter(name, help, labels)
  return bundle.createPusher({
    ...config.push!,
    resource: ofThread(resource),
    scope: { name: 'afterspan', version: SDK_VERSION },
    startMs,
    sources: {
      families: async () => [
        ...(await metrics.collectOwn()),
        ...(isMainThread ? await sideThread.familiesBeside() : []),
      ],
      familiesNow: metrics.collectNow,
      ...meters,
    },
    dropped: points('afterspan_data_points_dropped', 'Data points of metrics that were not delivered, by reason.', [
      'reason',
    ]),
    exported: points('afterspan_data_points_exported', 'Data points of metrics that the collector took.'),
    failures: exportFailures(metrics),
  })
}

/** Threads of one process count for themselves: for a collector each of them is an instance. */
function ofThread(resource: ResourceAttributes): ResourceAttributes {
  const id = resource['service.instance.id']
  if (isMainThread) return resource
  return {
    ...resource,
    'thread.id': threadId,
    ...(id === undefined ? {} : { 'service.instance.id': `${id}-${threadId}` }),
  }
}

/** A tool that served nothing and measured nothing has nothing to tell. */
function hasCounted({ metrics, meters }: PushDeps): boolean {
  if (meters.isUsed()) return true
  return metrics
    .totals()
    .some(({ samples }) => samples.some((sample) => ('counts' in sample ? sample.count : sample.value) > 0))
}
