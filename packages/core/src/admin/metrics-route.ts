import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { AdminHandler, AdminReply } from '../contracts/service.ts'
import { chooseFormat, isOpenMetrics, takesGzip } from '../metrics/accept.ts'
import type { Collected } from '../metrics/collector.ts'
import { renderMetrics } from '../metrics/exposition.ts'

/** /metrics on the admin listener. Where the main thread does not answer, a comment says how old its numbers are. */
export function metricsRoute(gather: () => Promise<Collected>): AdminHandler {
  return async ({ headers }) => metricsReply(await gather(), headers['accept'], headers['accept-encoding'])
}

export async function metricsReply(
  { families, staleMs }: Collected,
  accept: string | undefined,
  acceptEncoding: string | undefined,
): Promise<AdminReply> {
  const contentType = chooseFormat(accept)
  const openMetrics = isOpenMetrics(contentType)
  let body: string | Uint8Array = renderMetrics(families, openMetrics)
  if (staleMs > 0 && !openMetrics)
    body += `# the main thread did not answer; its metrics are ${Math.round(staleMs)} ms old\n`
  const headers: Record<string, string> = { 'content-type': contentType, vary: 'accept, accept-encoding' }
  if (takesGzip(acceptEncoding)) {
    body = await promisify(gzip)(body)
    headers['content-encoding'] = 'gzip'
  }
  return { status: 200, headers, body }
}
