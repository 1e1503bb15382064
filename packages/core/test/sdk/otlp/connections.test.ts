import { once } from 'node:events'
import { copyFileSync, readFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'
import { createServer as createPlainServer, type IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { repositoryRoot, tempDir } from '@afterspan/testing'
import { afterEach, expect, test } from 'vitest'
import { postGrpc } from '../../../src/sdk/otlp/grpc.ts'
import type { OtlpSettings } from '../../../src/sdk/otlp/settings.ts'
import { postOtlp } from '../../../src/sdk/otlp/transport.ts'

const certificateFile = (name: string): string => join(repositoryRoot(), `test/apps/certificates/${name}.pem`)
const [cert, key] = ['cert', 'key'].map((kind) => readFileSync(certificateFile(`self-signed.${kind}`), 'utf8')) as [
  string,
  string,
]
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

/** Each certificate that was shown: one, and then the one that has taken its place in the files. */
async function shownBeforeAndAfter(listening: Server, post: typeof postOtlp, seen: string[]): Promise<string[]> {
  server = listening
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const folder = tempDir('certificates')
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  const put = (name: string): void => {
    copyFileSync(certificateFile(`${name}.cert`), files.cert)
    copyFileSync(certificateFile(`${name}.key`), files.key)
  }
  put('self-signed')
  copyFileSync(certificateFile('self-signed.cert'), files.ca)
  const url = `https://localhost:${(listening.address() as AddressInfo).port}`
  const settings: OtlpSettings = {
    url,
    headers: {},
    timeoutMs: 5_000,
    compression: 'none',
    tls: { ca: cert, cert, key, files },
  }
  const replies = [await post(settings, Buffer.alloc(0))]
  put('replaced')
  replies.push(await post(settings, Buffer.alloc(0)))
  expect(replies.map(({ reason }) => reason)).toEqual(['ok', 'ok'])
  return seen
}
const nameIn = (socket: TLSSocket): string => String(socket.getPeerCertificate().subject.CN)

test('a client certificate that was replaced while the service ran was shown until its end', async () => {
  const seen: string[] = []
  const collector = createServer(SERVER, (request, response) => {
    seen.push(nameIn(request.socket as TLSSocket))
    response.setHeader('connection', 'close').end()
  })
  expect(await shownBeforeAndAfter(collector, postOtlp, seen)).toEqual(['localhost', 'replaced'])
})

test('the same by gRPC, where a collector limits the age of a connection', async () => {
  const seen: string[] = []
  const collector = createSecureServer(SERVER)
  collector.on('stream', (stream) => {
    seen.push(nameIn(stream.session!.socket as TLSSocket))
    stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true })
    stream.session!.close()
  })
  expect(await shownBeforeAndAfter(collector, postGrpc as typeof postOtlp, seen)).toEqual(['localhost', 'replaced'])
})

test('a certificate without its key yet, as they are being replaced, cost the spans of that moment', async () => {
  const settings: OtlpSettings = { url: 'https://localhost:9', headers: {}, timeoutMs: 5_000, compression: 'none' }
  const replaced = readFileSync(certificateFile('replaced.cert'), 'utf8')
  const reply = await postOtlp({ ...settings, tls: { cert: replaced, key } }, Buffer.alloc(0))
  expect(reply).toMatchObject({ reason: 'ERR_OSSL_X509_KEY_VALUES_MISMATCH', retryable: true })
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
