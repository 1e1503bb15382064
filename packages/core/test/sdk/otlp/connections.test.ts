import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'
import { createServer as createPlainServer, type IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { repositoryRoot } from '@afterspan/testing'
import { afterEach, expect, test } from 'vitest'
import { postGrpc } from '../../../src/sdk/otlp/grpc.ts'
import type { OtlpSettings } from '../../../src/sdk/otlp/settings.ts'
import { postOtlp } from '../../../src/sdk/otlp/transport.ts'

const [cert, key] = ['cert', 'key'].map((kind) =>
  readFileSync(join(repositoryRoot(), `test/apps/certificates/self-signed.${kind}.pem`), 'utf8'),
) as [string, string]
const SERVER = { cert, key, ca: cert, requestCert: true, rejectUnauthorized: false }
const hasCertificate = (socket: TLSSocket): boolean => Object.keys(socket.getPeerCertificate()).length > 0

let server: Server | undefined
afterEach(() => {
  server?.close()
})

/** Traces show a certificate, logs do not; whichever comes first. */
async function shown(listening: Server, post: typeof postOtlp, seen: boolean[]): Promise<boolean[]> {
  server = listening
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const url = `https://localhost:${(listening.address() as AddressInfo).port}`
  const settings: OtlpSettings = { url, headers: {}, timeoutMs: 5_000, compression: 'none' }
  await post({ ...settings, tls: { ca: cert, cert, key } }, Buffer.alloc(0))
  await post({ ...settings, signal: 'logs', tls: { ca: cert } }, Buffer.alloc(0))
  await post({ ...settings, tls: { ca: cert, cert, key } }, Buffer.alloc(0))
  return seen
}

test('logs were sent with the certificate of traces, which had made the connection', async () => {
  const seen: boolean[] = []
  const collector = createServer(SERVER, (request, response) => {
    seen.push(hasCertificate(request.socket as TLSSocket))
    response.end()
  })
  expect(await shown(collector, postOtlp, seen)).toEqual([true, false, true])
  collector.closeAllConnections()
})

test('the same by gRPC', async () => {
  const seen: boolean[] = []
  const collector = createSecureServer(SERVER)
  collector.on('stream', (stream) => {
    seen.push(hasCertificate(stream.session!.socket as TLSSocket))
    stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true })
  })
  expect(await shown(collector, postGrpc as typeof postOtlp, seen)).toEqual([true, false, true])
})

test('a connection that the collector closed as the next export was on its way was told as a failure', async () => {
  const used = new WeakSet<IncomingMessage['socket']>()
  const collector = createPlainServer((request, response) => {
    if (used.has(request.socket)) request.socket.resetAndDestroy()
    else response.end()
    used.add(request.socket)
  })
  server = collector
  collector.listen(0, '127.0.0.1')
  await once(collector, 'listening')
  const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  const settings: OtlpSettings = { url, headers: {}, timeoutMs: 5_000, compression: 'none' }
  const reasons: string[] = []
  for (let n = 0; n < 3; n++) reasons.push((await postOtlp(settings, Buffer.from('x'))).reason)
  expect(reasons).toEqual(['ok', 'ok', 'ok'])
  collector.closeAllConnections()
})
