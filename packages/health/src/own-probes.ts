import { globalState, inFlight, type HealthProbe } from '@afterspan/core/internal'
import type { HealthSettings } from './options.ts'
import { clockProbe } from './probes/clock.ts'
import { diskProbe } from './probes/disk.ts'
import { eventLoopProbe } from './probes/event-loop.ts'
import { fileDescriptorProbe } from './probes/file-descriptors.ts'
import { memoryProbe } from './probes/memory.ts'
import { requestsProbe, type OldestRequest } from './probes/requests.ts'
import { threadPoolProbe } from './probes/thread-pool.ts'

/** What every process is asked of itself. All of it is optional: a busy process does not get better by being taken out. */
export function ownProbes(settings: HealthSettings): readonly HealthProbe[] {
  const { ledgerDir } = globalState()
  const disks = settings.disks.length === 0 && ledgerDir ? [ledgerDir] : settings.disks
  return [
    eventLoopProbe(),
    fileDescriptorProbe(),
    memoryProbe({ oldSpaceLimitMb: settings.oldSpaceLimitMb }),
    threadPoolProbe(),
    requestsProbe(oldestRequest, settings.oldestRequestMs),
    clockProbe(),
    ...(disks.length > 0 ? [diskProbe(disks)] : []),
  ]
}

/** They are in the order in which they came. */
function oldestRequest(): OldestRequest | undefined {
  for (const { record, ref } of inFlight)
    return { count: inFlight.size, ageMs: Math.max(0, Date.now() - record.startedAt), traceId: ref.traceId }
  return undefined
}
