// The side thread. It owns nothing of the app: it has the admin listener and the services' side halves, and it sends what is
// left at a crash while the main thread waits a bounded moment.
import { AdminServer } from '../admin/server.ts'
import { metricsRoute } from '../admin/metrics-route.ts'
import { systemClock } from '../clock.ts'
import { keepCode, requireKept } from '../code-cache.ts'
import type { MetricFamily, SideHost, SideModule } from '../contracts/service.ts'
import { say, silence } from '../diag.ts'
import type { ErrorCode } from '../errors.ts'
import { postInParts } from '../sdk/otlp/in-parts.ts'
import { postOtlp } from '../sdk/otlp/transport.ts'
import { createCollector } from '../metrics/collector.ts'
import { Group } from '../metrics/group/group.ts'
import { watchHeartbeat } from './heartbeat.ts'
import { sideGate } from './inspector-gate.ts'
import { inspectMain } from './main-session.ts'
import { watchSilentMain } from './release-signals.ts'
import { yieldToApp } from './yield-to-app.ts'
import { NOT_SENT, SENT, type LastWords, type Port, type SideThreadData, type ToMain, type ToSide } from './protocol.ts'

/** In a thread of its own. */
export function runThread(port: Port<ToMain, ToSide>, data: SideThreadData | LastWords): void {
  // node:sqlite announces itself on Node 22; the app's stderr is not the place.
  process.removeAllListeners('warning')
  if ('kind' in data) void sendLastWords(data)
  else {
    if (data.isSilent) silence()
    yieldToApp()
    runSide(port, data)
    keepCode()
  }
}

/** Starts the listener and every service. A service that cannot start is said and left out. */
export function runSide(port: Port<ToMain, ToSide>, { admin, services, heartbeat, gate, place }: SideThreadData): void {
  const listeners = new Map<string, (message: unknown) => void>()
  const held = new Map<string, unknown[]>()
  const collectors: (() => Promise<readonly MetricFamily[]> | readonly MetricFamily[])[] = []
  const mainSilentMs = watchHeartbeat(heartbeat)
  const inspect: SideHost['inspectMain'] = (use) => inspectMain(sideGate(gate), use)
  watchSilentMain({ clock: systemClock, mainSilentMs, inspectMain: inspect })
  const families = askMain(port)

  port.on('message', (message) => {
    if (message.kind === 'service') {
      const listen = listeners.get(message.name)
      if (listen) listen(message.message)
      else held.set(message.name, [...(held.get(message.name) ?? []), message.message])
    } else if (message.kind === 'families') families.came(message.families)
    else if (message.kind === 'beside')
      void beside().then((own) => {
        port.postMessage({ kind: 'beside', families: own })
      })
    else void sendLastWords(message)
  })
  const beside = async (): Promise<MetricFamily[]> => (await Promise.all(collectors.map(safely))).flat()
  const group = new Group({ place, collect: createCollector(families.ask, beside) })
  const server = new AdminServer(admin, say, group)
  if (admin.metrics) server.route('/metrics', metricsRoute(group.gather))

  const starting = services.map((service) => {
    const host: SideHost = {
      route: (path, handle) => {
        server.route(path, handle)
      },
      metrics: (collect) => {
        collectors.push(collect)
      },
      post: (message) => {
        port.postMessage({ kind: 'service', name: service.name, message })
      },
      onMessage(listen) {
        listeners.set(service.name, listen)
        for (const message of held.get(service.name) ?? []) listen(message)
        held.delete(service.name)
      },
      say: (code, message) => {
        say(code as ErrorCode, message)
      },
      clock: systemClock,
      mainSilentMs,
      inspectMain: inspect,
    }
    return startService(service.entry, host, service.data, service.name)
  })
  // The listener opens when every service has mounted its routes: nobody sees a 404 that will be a 200 a moment later.
  void Promise.all([...starting, group.join()]).then(() => {
    server.start()
  })
}

async function startService(entry: string, host: SideHost, data: unknown, name: string): Promise<void> {
  try {
    await (requireKept(entry) as SideModule).start(host, data)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    say('AFS_BOOT_FAILED', `${name} could not start on the side thread: ${why}. The app runs without it.`, name)
  }
}

async function safely(
  collect: () => Promise<readonly MetricFamily[]> | readonly MetricFamily[],
): Promise<readonly MetricFamily[]> {
  try {
    return await collect()
  } catch {
    return []
  }
}

async function sendLastWords({ bodies, done }: LastWords): Promise<void> {
  const keepAlive = setInterval(() => {}, 1_000) // the request itself never keeps a thread
  const flags = new Int32Array(done)
  await Promise.all(
    bodies.map(async ({ body, settings }, i) => {
      const reply = await postInParts(postOtlp, settings, body)
      Atomics.store(flags, i + 1, reply.ok ? SENT : NOT_SENT)
      Atomics.sub(flags, 0, 1)
      Atomics.notify(flags, 0)
    }),
  )
  clearInterval(keepAlive)
}

/** Families of the main thread, on request; askers that come together share one answer. */
function askMain(port: Port<ToMain, ToSide>): {
  ask(): Promise<readonly MetricFamily[]>
  came(families: readonly MetricFamily[]): void
} {
  let waiting: ((families: readonly MetricFamily[]) => void)[] = []
  return {
    ask: () =>
      new Promise((resolve) => {
        if (waiting.push(resolve) === 1) port.postMessage({ kind: 'families' })
      }),
    came(families) {
      const all = waiting
      waiting = []
      for (const resolve of all) resolve(families)
    },
  }
}
