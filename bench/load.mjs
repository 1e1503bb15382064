// A client that costs less than the servers which it asks: else their difference would not be seen. One request at a time on each
// connection, kept alive.
import { connect } from 'node:net'

/** Asks for so many milliseconds; answers a second, by status, and how long the slowest hundredth took, in milliseconds. */
export async function load(url, { connections, ms }) {
  const { hostname, port, pathname } = new URL(url)
  const request = Buffer.from(`GET ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`)
  const took = []
  const byStatus = {}
  const from = performance.now()
  const until = from + ms
  await Promise.all(
    Array.from({ length: connections }, () =>
      ask({ hostname, port: Number(port), request, until }, (status, tookMs) => {
        took.push(tookMs)
        byStatus[status] = (byStatus[status] ?? 0) + 1
      }),
    ),
  )
  const seconds = (performance.now() - from) / 1000
  const sorted = Float64Array.from(took).sort()
  return { perSecond: took.length / seconds, byStatus, p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0 }
}

function ask({ hostname, port, request, until }, answered) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, hostname)
    let sentAt = 0
    let text = ''
    const send = () => {
      sentAt = performance.now()
      if (sentAt < until) socket.write(request)
      else socket.destroy()
    }
    socket.setNoDelay()
    socket.setEncoding('latin1')
    socket.on('connect', send)
    socket.on('error', reject)
    socket.on('close', resolve)
    socket.on('data', (chunk) => {
      text += chunk
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = /content-length: (\d+)/i.exec(text)?.[1]
      const isWhole = length === undefined ? text.endsWith('\r\n0\r\n\r\n') : text.length >= end + 4 + Number(length)
      if (!isWhole) return
      answered(text.slice(9, 12), performance.now() - sentAt)
      text = ''
      send()
    })
  })
}
