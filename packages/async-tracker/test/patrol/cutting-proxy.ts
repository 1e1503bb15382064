import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface CuttingProxy {
  readonly port: number
  /** The next message of a client that has this in it reaches the server, and its answer does not come back: the connection ends. Then `act` is called. */
  cutAfter(text: string, act?: () => void): void
  /** Connections from now on are made to this port. */
  leadTo(port: number): void
  readonly cuts: number
  /** The same, but the connection stays, and nothing comes back on it any more. */
  silenceAfter(text: string, act: () => void): void
  close(): Promise<void>
}

/** Stands between a client and a server, and cuts connections at a chosen word. */
export async function startCuttingProxy(port: number): Promise<CuttingProxy> {
  let to = port
  let word: string | undefined
  let then = (): void => {}
  let cuts = 0
  let isToStay = false
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1')
    let isCut = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    client.on('data', (bytes) => {
      const isWord = word !== undefined && bytes.includes(word)
      upstream.write(bytes)
      if (!isWord) return
      word = undefined
      isCut = true
      cuts++
      then()
    })
    upstream.on('data', (bytes) => {
      if (!isCut) client.write(bytes)
      else if (!isToStay) client.destroy()
    })
    client.on('close', () => upstream.end())
    upstream.on('close', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    get cuts() {
      return cuts
    },
    cutAfter(text, act = () => {}) {
      word = text
      then = act
      isToStay = false
    },
    silenceAfter(text, act) {
      word = text
      then = act
      isToStay = true
    },
    leadTo(next) {
      to = next
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
