import type { IncomingMessage, ServerResponse } from 'node:http'
import { globalState } from '../global-state.ts'
import { metricsReply } from './metrics-route.ts'

/**
 * A handler for the app's own server that answers as /metrics of the admin listener does, for all processes of the service on this
 * host: `http.createServer(metricsHandler())`, `app.use('/metrics', metricsHandler())`. It never throws and never rejects; without
 * the preload it answers 503. Who may see it is the app's affair. Requests to other paths than /metrics are traced like any other:
 * name the path in AFTERSPAN_IGNORE_PATHS.
 */
export function metricsHandler(): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    void answer(request, response).catch(() => {
      if (response.headersSent) response.destroy()
      else refuse(response, 500, 'the metrics could not be gathered')
    })
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { gatherMetrics } = globalState()
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    refuse(response, 405, 'only GET and HEAD')
    return
  }
  if (!gatherMetrics) {
    refuse(response, 503, 'Afterspan was not loaded before the app: start it with --require afterspan/register')
    return
  }
  const { accept, 'accept-encoding': encoding } = request.headers
  const { headers, body } = await metricsReply(await gatherMetrics(), accept, String(encoding ?? ''))
  if (response.destroyed || response.headersSent) return
  const bytes = Buffer.from(body)
  response.writeHead(200, { 'cache-control': 'no-store', ...headers, 'content-length': bytes.length })
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.statusCode = status
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.end(`${why}\n`)
}
