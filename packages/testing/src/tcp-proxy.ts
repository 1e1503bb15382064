import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Stands between a client and its server, and can be made a bad network. */
export interface TcpProxy {
  readonly port: number
  /** From now on what the server says is swallowed. */
  mute(): void
  /** Both ends see their connection end. New connections are as before. */
  cut(): void
  close(): Promise<void>
}

export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const pairs = new Set<readonly [client: Socket, server: Socket]>()
  const listener = createServer((client) => {
    const server = connect(target.port, target.host)
    const pair = [client, server] as const
    pairs.add(pair)
    client.pipe(server)
    server.pipe(client)
    for (const socket of pair) {
      socket.on('error', () => {})
      socket.on('close', () => end(pair))
    }
  })
  const end = (pair: readonly [Socket, Socket]): void => {
    pairs.delete(pair)
    for (const socket of pair) socket.destroy()
  }
  await new Promise<void>((resolve) => {
    listener.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (listener.address() as AddressInfo).port,
    mute() {
      for (const [client, server] of pairs) {
        server.unpipe(client)
        server.resume()
      }
    },
    cut() {
      for (const pair of pairs) end(pair)
    },
    close() {
      for (const pair of pairs) end(pair)
      return new Promise((resolve) => {
        listener.close(() => resolve())
      })
    },
  }
}
