// A response carries its trace, and is otherwise byte for byte what the app would have sent.
import { connect } from 'node:net'
import { nodesUnderTest, runApp, startPreloaded, type RunningApp } from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const APP = appFile('response-headers.cjs')
const WAYS = [
  'pairs',
  'list',
  'cases',
  'reason',
  'set',
  'names',
  'removed',
  'mine',
  'mine-in-a-list',
  'mine-set',
  'timing',
  'empty',
  'odd',
  'nothing',
]
const OURS = /^traceresponse: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\r\nserver-timing: traceparent;desc="00-[^"]+"\r\n/m

test.each(nodesUnderTest())(
  'writeHead with pairs was refused, and one of two cookies was lost: Node $major',
  async (node) => {
    const apps = [
      runApp({ args: [APP], node: node.path }),
      startPreloaded({ app: APP, node: node.path }),
      startPreloaded({ app: APP, node: node.path, env: { AFTERSPAN_TRACE_RESPONSE: 'off' } }),
    ] as const
    const [plain, ours, off] = await Promise.all(apps.map(answers))
    expect(Object.keys(plain!)).toEqual(WAYS)
    const named = WAYS.filter((way) => OURS.test(ours![way]!))
    expect(named).toEqual(WAYS.filter((way) => !way.startsWith('mine')))
    expect(Object.entries(ours!).map(([way, text]) => [way, text.replace(OURS, '')])).toEqual(Object.entries(plain!))
    expect(off).toEqual(plain)
    expect(plain!['pairs']).toContain('x-a: 1\r\nx-a: 2\r\nSet-Cookie: c\r\n')
    await Promise.all(apps.map((app) => app.stop()))
  },
)

async function answers(app: RunningApp): Promise<Record<string, string>> {
  const { port } = new URL(await listening(app))
  const all = WAYS.map(async (way) => [way, await rawAnswer(Number(port), way)] as const)
  return Object.fromEntries(await Promise.all(all))
}

function rawAnswer(port: number, way: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET /${way} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
    )
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (text += chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
}
