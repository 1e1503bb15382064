// A collector that takes OTLP/JSON of every signal and keeps it as it came.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pollUntil } from '@afterspan/testing'

export interface Export {
  readonly signal: 'logs' | 'metrics' | 'traces'
  readonly headers: IncomingHttpHeaders
  readonly body: any
}
export interface SignalCollector {
  readonly url: string
  readonly exports: readonly Export[]
  /** All that was exported by then, once it fits. */
  waitFor(fits: (exports: readonly Export[]) => boolean): Promise<void>
  close(): Promise<void>
}

/** `answer` stands in for one that is unwell; true: it has answered, or never will. */
export async function startSignalCollector(
  answer: (got: Export, response: ServerResponse) => boolean = () => false,
): Promise<SignalCollector> {
  const exports: Export[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const signal = request.url!.slice('/v1/'.length) as Export['signal']
      const got = { signal, headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) as unknown }
      exports.push(got)
      if (!answer(got, response)) response.setHeader('content-type', 'application/json').end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exports,
    async waitFor(fits) {
      await pollUntil(() => fits(exports), { timeoutMs: 20_000, what: 'the exports' })
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
