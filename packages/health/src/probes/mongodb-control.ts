// Would a restart help? A client of MongoDB that has given nothing for long is compared with a new one, made as it was.
import type { ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { within } from '../within.ts'
import { CONTROL_MS } from './control-deadline.ts'
import type { MongoClient, MongoTopology } from './mongodb-client.ts'

interface FreshClient extends MongoClient {
  connect(): Promise<unknown>
  on(event: string, listener: () => void): unknown
}
type Make = new (url: string) => FreshClient
type Close = (options: { readonly force: true }, done: () => void) => void

const SILENT: ReadonlySet<string | undefined> = new Set(['client_ended', 'connection_lost', 'not_connected', 'timeout'])
const OTHERWISE = {
  connectTimeoutMS: CONTROL_MS,
  maxPoolSize: 1,
  minPoolSize: 0,
  serverSelectionTimeoutMS: CONTROL_MS,
}
/** Nobody's find. */
const ours = new WeakSet<MongoClient>()

export function isOurs(client: MongoClient): boolean {
  return ours.has(client)
}

/** Nothing comes through the client; what a server refuses, it would refuse a new one. */
export function isSilent({ status, code }: ProbeResult): boolean {
  return status === 'fail' && (SILENT.has(code) || networkCode({ code }) !== undefined)
}

/** Made as the app's own, asked once, and ended whatever happens. Rejects where it is no better. */
export async function experiment(client: MongoClient, ask: (fresh: MongoClient) => Promise<unknown>): Promise<void> {
  const fresh = make(client)
  const answer = (async (): Promise<void> => {
    await fresh.connect()
    await ask(fresh)
  })()
  try {
    await within(answer, CONTROL_MS)
  } finally {
    // The client's own close() says goodbye first, and waits for a server that may never answer.
    const topology = fresh.topology as (MongoTopology & { readonly close?: Close }) | undefined
    topology?.close?.({ force: true }, () => {})
  }
}

/** By the address; what the app's code has said beside it stands in what the driver has made of both. */
function make(client: MongoClient): FreshClient {
  const { options, s } = client
  const Client = client.constructor as Make
  if (!options || typeof s?.url !== 'string' || client.autoEncrypter)
    throw new Error('this client cannot be made again')
  const fresh = new Client(s.url)
  ours.add(fresh)
  // Some versions keep them behind a symbol, and show a frozen copy.
  const hidden = Object.getOwnPropertySymbols(fresh).map(
    (symbol) => (fresh as unknown as Record<symbol, unknown>)[symbol],
  )
  const own = hidden.find((value) => (value as { hosts?: unknown } | null | undefined)?.hosts !== undefined)
  Object.assign(own ?? fresh.options!, options, OTHERWISE)
  return fresh
}
