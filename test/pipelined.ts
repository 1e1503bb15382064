import { connect } from 'node:net'

export interface PipelinedAnswer {
  readonly headers: Readonly<Record<string, string>>
  readonly status: number
  readonly text: string
}

/** GET requests that are all sent before the first is answered, on one connection that is kept: the answers, in their order. */
export function getPipelined(base: string, paths: readonly string[], timeoutMs = 20_000): Promise<PipelinedAnswer[]> {
  const { host, hostname, port } = new URL(base)
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0)
    const socket = connect(Number(port), hostname, () => {
      socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`).join(''))
    })
    const deadline = setTimeout(
      () => done(new Error(`not answered within ${timeoutMs} ms: ${bytes.toString()}`)),
      timeoutMs,
    )
    socket.on('error', done)
    socket.on('close', () => done(new Error(`the connection was closed after: ${bytes.toString()}`)))
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      const answers = parse(bytes)
      if (answers.length === paths.length) done(answers)
    })

    function done(outcome: Error | PipelinedAnswer[]): void {
      clearTimeout(deadline)
      socket.removeAllListeners('close')
      socket.destroy()
      if (outcome instanceof Error) reject(outcome)
      else resolve(outcome)
    }
  })
}

/** Those that are whole: with a length, or in chunks. */
function parse(bytes: Buffer): PipelinedAnswer[] {
  const answers: PipelinedAnswer[] = []
  let rest = bytes.toString('latin1')
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return answers
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n')
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    )
    const body = bodyOf(rest.slice(end + 4), headers)
    if (!body) return answers
    answers.push({ headers, status: Number(first.split(' ')[1]), text: body.text })
    rest = rest.slice(end + 4 + body.size)
  }
}

function bodyOf(
  rest: string,
  headers: Readonly<Record<string, string>>,
): { readonly text: string; readonly size: number } | undefined {
  if (headers['transfer-encoding'] !== 'chunked') {
    const size = Number(headers['content-length'] ?? 0)
    return rest.length < size ? undefined : { text: rest.slice(0, size), size }
  }
  let text = ''
  for (let at = 0; ;) {
    const line = rest.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(rest.slice(at, line), 16)
    if (rest.length < line + 2 + size + 2) return undefined
    text += rest.slice(line + 2, line + 2 + size)
    at = line + 2 + size + 2
    if (size === 0) return { text, size: at }
  }
}
