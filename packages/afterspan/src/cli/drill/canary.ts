// The canary of `afterspan drill`: a small service, started with the preload like any other, that answers 200 and is killed in the
// middle of the work behind it. It says so on its standard output, one JSON line each, and waits.
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { runTask } from '@afterspan/core'

const server = createServer((_, res) => {
  void runTask('afterspan drill', () => new Promise(() => setInterval(() => {}, 1_000)))
  res.end('ok\n')
})
server.listen(0, '127.0.0.1', () => {
  get({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, path: '/drill' }, (res) => {
    const [, traceId = ''] = /^00-([0-9a-f]{32})-/.exec(String(res.headers['traceresponse'])) ?? []
    res.resume().on('end', () => {
      process.stdout.write(`${JSON.stringify({ traceId, status: res.statusCode })}\n`)
    })
  })
})
