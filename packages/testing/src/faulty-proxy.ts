import { createServer, connect, type AddressInfo, type Socket } from 'node:net'

/**
 * What the way to the server does.
 * `none`: every byte arrives. `hold`: nothing arrives until the fault ends, then all of it. `swallow`: what is sent is lost for ever, and the
 * connections it was lost on stay open and dead, as behind a firewall that forgot them. `mute`: so with answers alone. `reset`: each connection is broken off, new ones as
 * they are made. `refuse`: as reset, and nobody listens. `delayMs`: each way takes so long. `trickleMs`: answers come byte by byte, so far apart.
 */
export type Fault =
  | 'hold'
  | 'mute'
  | 'none'
  | 'refuse'
  | 'reset'
  | 'swallow'
  | { readonly delayMs: number }
  | { readonly trickleMs: number }

/** Stands in front of a server and lets its clients have a bad time, at will. */
export interface FaultyProxy {
  /** Connections that clients have to it and have not closed. */
  readonly connections: number
  readonly port: number
  set(fault: Fault): Promise<void>
  stop(): Promise<void>
}

interface Link {
  readonly client: Socket
  readonly server: Socket
  /** Bytes were lost on it: whatever is sent later would make no sense. */
  isDead: boolean
  /** So with answers alone: what is asked arrives. */
  isMute: boolean
}

export async function faultyProxy(to: { readonly host: string; readonly port: number }): Promise<FaultyProxy> {
  const links = new Set<Link>()
  let fault: Fault = 'none'
  const listener = createServer({ allowHalfOpen: false }, (client) => {
    if (fault === 'reset') {
      client.on('error', ignore)
      client.resetAndDestroy()
      return
    }
    const server = connect(to)
    const link: Link = { client, server, isDead: false, isMute: false }
    links.add(link)
    forward(link, client, server, () => fault, false)
    const answers = forward(link, server, client, () => fault, true)
    const end = (): void => {
      links.delete(link)
      client.destroy()
      server.destroy()
    }
    client.on('close', end)
    // A server that hangs up is heard of by nobody while the way is cut.
    server.on('close', () => {
      if (!link.isDead && !link.isMute) void answers().then(() => client.end())
    })
  })
  const port = await listen(listener, 0)

  return {
    port,
    get connections() {
      return links.size
    },
    async set(next) {
      const wasRefusing = fault === 'refuse'
      fault = next
      if (next === 'reset' || next === 'refuse') for (const { client } of links) client.resetAndDestroy()
      if (next === 'refuse' && !wasRefusing) await close(listener)
      if (wasRefusing && next !== 'refuse') await listen(listener, port)
      for (const { client, server } of links)
        for (const socket of [client, server])
          if (next === 'hold') socket.pause()
          else socket.resume()
    },
    async stop() {
      for (const { client } of links) client.destroy()
      if (listener.listening) await close(listener)
    },
  }
}

/** Bytes keep their order, whatever delays them. What is returned waits until all have arrived. */
function forward(link: Link, from: Socket, to: Socket, fault: () => Fault, isAnswer: boolean): () => Promise<void> {
  let last = Promise.resolve()
  from.on('error', ignore)
  if (fault() === 'hold') from.pause()
  from.on('data', (chunk: Buffer) => {
    const now = fault()
    if (now === 'swallow') link.isDead = true
    if (now === 'mute' && isAnswer) link.isMute = true
    if (link.isDead || (link.isMute && isAnswer)) return
    if (typeof now !== 'object') last = last.then(() => write(to, chunk))
    else if ('delayMs' in now) {
      const dueAt = performance.now() + now.delayMs
      last = last.then(() => pause(dueAt - performance.now())).then(() => write(to, chunk))
    } else if (!isAnswer) last = last.then(() => write(to, chunk))
    else
      for (const byte of chunk)
        last = last.then(() => pause(isTrickling(fault()) ? now.trickleMs : 0)).then(() => write(to, Buffer.of(byte)))
  })
  return () => last
}

function isTrickling(fault: Fault): boolean {
  return typeof fault === 'object' && 'trickleMs' in fault
}

function write(to: Socket, chunk: Buffer): void {
  if (!to.destroyed) to.write(chunk)
}

function pause(ms: number): Promise<void> | void {
  if (ms > 0) return new Promise((resolve) => setTimeout(resolve, ms))
}

function listen(listener: ReturnType<typeof createServer>, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(port, '127.0.0.1', () => {
      listener.off('error', reject)
      resolve((listener.address() as AddressInfo).port)
    })
  })
}

function close(listener: ReturnType<typeof createServer>): Promise<void> {
  return new Promise((resolve) => listener.close(() => resolve()))
}

function ignore(): void {}
