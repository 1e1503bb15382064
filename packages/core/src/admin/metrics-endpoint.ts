// The three ways in which this thread's metrics get out: the listener of core alone, a member's socket in the group of the
// service, and a handler in the app's own server.
import { setEnvironmentData } from 'node:worker_threads'
import type { ResourceAttributes } from '../contracts/task.ts'
import { say } from '../diag.ts'
import { createCollector, type Collected } from '../metrics/collector.ts'
import { Group } from '../metrics/group/group.ts'
import { totalsOf } from '../metrics/group/join.ts'
import { leave } from '../metrics/group/memory.ts'
import { FAMILY_KEY, findPlace, ownFamily, type Place } from '../metrics/group/place.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import { metricsRoute } from './metrics-route.ts'
import { AdminServer, type AdminSettings } from './server.ts'

export interface MetricsEndpointSettings {
  readonly admin: AdminSettings
  readonly resource: ResourceAttributes
  readonly registry: MetricRegistry
  /** False: each process tells its own numbers alone. */
  readonly isShared: boolean
  /** The side thread is this process's member of the group; here it is only asked. */
  readonly hasSideThread: () => boolean
}

export class MetricsEndpoint {
  readonly #settings: MetricsEndpointSettings
  #place: Place | undefined | null = null
  #group: Group | undefined
  #isJoined = false

  constructor(settings: MetricsEndpointSettings) {
    this.#settings = settings
    setEnvironmentData(FAMILY_KEY, ownFamily())
  }

  /** Looked for when it is needed first: most processes that start are never scraped. */
  place(): Place | undefined {
    const { resource, admin, isShared } = this.#settings
    if (this.#place === null)
      try {
        this.#place = isShared ? findPlace(resource, admin) : undefined
      } catch {
        this.#place = undefined // the working directory may be gone
      }
    return this.#place
  }

  /** The families of the whole group. */
  gather(): Promise<Collected> {
    return this.#open().gather()
  }

  /** A worker thread of the app: its numbers are told by whichever process is scraped. */
  join(): void {
    if (this.#isJoined) return
    this.#isJoined = true
    void this.#open().join()
  }

  /** Core alone has no side thread: its listener is on the main thread. */
  listen(): void {
    if (this.#isJoined) return
    this.#isJoined = true
    const group = this.#open()
    const server = new AdminServer(this.#settings.admin, say, group)
    server.route('/metrics', metricsRoute(group.gather))
    void group.join().then(() => {
      server.start()
    })
  }

  /** At the end of the process or thread: what it has counted is kept for the others. Synchronous; never throws. */
  leave(): void {
    const { registry } = this.#settings
    try {
      const totals = totalsOf(registry.totals())
      if (this.#place === null && !totals.some(hasCounted)) return
      const place = this.place()
      if (place) leave(place, () => totals)
    } catch {
      // an exit is not the moment for an error of ours
    }
  }

  #open(): Group {
    const { registry, hasSideThread } = this.#settings
    this.#group ??= new Group({
      place: this.place(),
      collect: createCollector(registry.collect, () => Promise.resolve([])),
      onlyAsks: hasSideThread(),
    })
    return this.#group
  }
}

function hasCounted({ samples }: ReturnType<typeof totalsOf>[number]): boolean {
  return samples.some((sample) => ('counts' in sample ? sample.count : sample.value) > 0)
}
