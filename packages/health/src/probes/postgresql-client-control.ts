// Would a restart help an app whose single clients of pg are lost or silent? A client does not connect again; a new process makes a new one.
import { replaceMethod, type ProbeResult } from '@afterspan/core/internal'
import { within } from '../within.ts'
import { CONTROL_MS } from './control-deadline.ts'
import { isWedged } from './pool-control.ts'
import type { BareClient } from './postgresql-bare-client.ts'
import { BACKENDS_QUESTION } from './postgresql-questions.ts'
import type { Beside } from './single-connections.ts'

interface FreshClient extends BareClient {
  connect(): Promise<unknown>
  on(event: 'error', listener: () => void): unknown
  unref?(): void
}
type Make = new (options: object) => FreshClient

const SILENT: ReadonlySet<string | undefined> = new Set(['connection_lost', 'not_connected', 'timeout'])
/** Nobody's find. */
const ours = new WeakSet<BareClient>()

export function isOurs(client: BareClient): boolean {
  return ours.has(client)
}

export function isSilent({ status, code }: ProbeResult): boolean {
  return status === 'fail' && SILENT.has(code)
}

/** A new client, made as that of the app, asked once, and ended whatever happens. Rejects where the server is not well, or works for one of the app's. */
export async function experiment(client: BareClient, held: readonly BareClient[]): Promise<void> {
  if ((await askBeside(client, held)) === 'at work') throw new Error('a statement of the app is at work')
}

/** What such a client finds of those that the app holds. */
export async function askBeside(client: BareClient, held: readonly BareClient[]): Promise<Beside> {
  const fresh = make(client)
  const answer = (async (): Promise<Beside> => {
    await fresh.connect()
    fresh.unref?.()
    const { rows } = await fresh.query(BACKENDS_QUESTION)
    const { own, active } = rows[0] as unknown as { own: number; active: readonly number[] }
    const clients = held.map((each) => ({ pid: each.processID ?? undefined, isBusy: each.readyForQuery !== true }))
    return isWedged(clients, { pid: fresh.processID ?? undefined, own, active }) ? 'dead' : 'at work'
  })()
  try {
    return await within(answer, CONTROL_MS)
  } finally {
    fresh.connection?.stream?.destroy?.()
  }
}

function make({ constructor: Client, connectionParameters, password }: BareClient): FreshClient {
  const options = { ...connectionParameters, password, connectionTimeoutMillis: CONTROL_MS }
  const fresh = new (Client as unknown as Make)(options)
  ours.add(fresh)
  fresh.on('error', () => {})
  return fresh
}

/** What the app still asks of a client that is lost. It is refused; that it was wanted is known then. */
export function watchLost(client: BareClient, onUse: () => void): void {
  if (Object.hasOwn(client, 'query')) return
  replaceMethod(
    client,
    'query',
    () =>
      function (this: BareClient, ...args: unknown[]) {
        onUse()
        return (Object.getPrototypeOf(client) as { query(...args: unknown[]): unknown }).query.apply(this, args)
      },
  )
}
