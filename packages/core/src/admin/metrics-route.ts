import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { AdminHandler, AdminReply, MetricFamily } from '../contracts/service.ts'
import { chooseFormat, isOpenMetrics, takesGzip } from '../metrics/accept.ts'
import { renderMetrics } from '../metrics/exposition.ts'

const MAIN_ANSWERS_WITHIN_MS = 1_000

/** `main` asks the thread that holds the app's meters; where it does not answer within a second, what it said last is served, and a comment says how old it is. */
export function metricsRoute(
  main: () => Promise<readonly MetricFamily[]>,
  beside: () => Promise<readonly MetricFamily[]>,
): AdminHandler {
  let last: { readonly families: readonly MetricFamily[]; readonly at: number } | undefined
  let building: Promise<{ families: readonly MetricFamily[]; staleMs: number }> | undefined

  async function collect(): Promise<{ families: readonly MetricFamily[]; staleMs: number }> {
    const fresh = await within(main(), MAIN_ANSWERS_WITHIN_MS)
    if (fresh) last = { families: fresh, at: performance.now() }
    const more = await beside()
    return {
      families: [...(last?.families ?? []), ...more],
      staleMs: fresh || !last ? 0 : performance.now() - last.at,
    }
  }

  return async ({ headers }): Promise<AdminReply> => {
    // Scrapes that come together are built once.
    building ??= collect().finally(() => {
      building = undefined
    })
    const { families, staleMs } = await building
    const contentType = chooseFormat(headers['accept'])
    const openMetrics = isOpenMetrics(contentType)
    let body: string | Uint8Array = renderMetrics(families, openMetrics)
    if (staleMs > 0 && !openMetrics)
      body += `# the main thread did not answer; its metrics are ${Math.round(staleMs)} ms old\n`
    const reply: Record<string, string> = {
      'content-type': contentType,
      vary: 'accept, accept-encoding',
    }
    if (takesGzip(headers['accept-encoding'])) {
      body = await promisify(gzip)(body)
      reply['content-encoding'] = 'gzip'
    }
    return { status: 200, headers: reply, body }
  }
}

function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve(undefined)
    }, ms)
    timer.unref()
    work
      .then(resolve, () => {
        resolve(undefined)
      })
      .finally(() => {
        clearTimeout(timer)
      })
  })
}
