// The tracker's half on the side thread: the patrol, and what it answers on the admin listener.
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { requireKept, type SideHost } from '@afterspan/core/internal'
import type { AskStanding, ToLedgerProbe } from './ledger-probe.ts'
import { voteQuery, type AskVote, type ToldVotes } from './ledger-votes.ts'
import type { BesideApp } from './patrol/beside-app.ts'
import type { PatrolServiceSettings } from './patrol/service.ts'
import { hasWork } from './patrol/work.ts'
import { routeQuestions } from './query/admin-routes.ts'
import type { Answer } from './query/answer.ts'
import { askPatrol } from './query/socket.ts'

export interface SideData extends PatrolServiceSettings {
  /** Whether this process may patrol. */
  readonly isInline: boolean
  /** Name of the app's journal. */
  readonly own: string
}

/** From the main thread: somebody wants an answer, and nobody patrols. */
export interface AskPatrol {
  readonly kind: 'patrol!'
}

const LOOK_MS = 250
const BEGINS_WITHIN_MS = 2_000
const ASK_AGAIN_MS = 50

export async function start(host: SideHost, data: unknown): Promise<{ stop(): Promise<void> }> {
  const settings = data as SideData
  const { dir } = settings
  let beside: BesideApp | undefined
  const patrol = (): BesideApp => {
    const bundle = requireKept(join(__dirname, 'patrol.js')) as typeof import('./patrol/beside-app.ts')
    return (beside ??= bundle.patrolBesideApp(host, settings))
  }
  // Not before there is something to patrol: a service that promised nothing pays nothing. Whoever leaves it to others wants to hear of
  // it where they do not: also what it has in flight would not be found.
  const own = settings.isInline ? settings.own : ''
  let hasBegun = false
  const stopLooking = host.clock.every(LOOK_MS, () => {
    const isDone = hasBegun && (beside !== undefined || !settings.isInline)
    if (!isDone && hasWork(dir, own)) {
      if (!hasBegun) host.post({ kind: 'work' } satisfies ToLedgerProbe)
      hasBegun = true
      if (settings.isInline) patrol()
    }
    return Promise.resolve()
  })
  // Whoever patrols answers; the others pass the question on. Where nobody does yet, whoever is asked begins.
  const ask = async (path: string, query: URLSearchParams): Promise<Answer> => {
    const askOnce = (): Promise<Answer | undefined> =>
      beside?.service.patrol ? beside.service.ask(path, query) : askPatrol(dir, `${path}?${query.toString()}`)
    let answer = await askOnce()
    if (!answer && settings.isInline) patrol()
    const until = host.clock.monotonicMs() + BEGINS_WITHIN_MS
    while (!answer && settings.isInline && host.clock.monotonicMs() < until) {
      await wait(ASK_AGAIN_MS)
      answer = await askOnce()
    }
    return answer ?? NOBODY
  }
  answerMain(host, ask, () => {
    if (settings.isInline) patrol()
  })
  routeQuestions(host, ask)
  host.metrics(async () => (await beside?.metrics()) ?? [])
  return {
    async stop() {
      stopLooking()
      await beside?.service.stop()
    },
  }
}

/** What the tracker's half on the main thread wants to know. */
function answerMain(
  host: SideHost,
  ask: (path: string, query: URLSearchParams) => Promise<Answer>,
  begin: () => void,
): void {
  const told = (path: string, query: URLSearchParams): Promise<Answer> =>
    ask(path, query).catch((error: unknown): Answer => ({ status: 503, body: { error: String(error) } }))
  host.onMessage((heard) => {
    const message = heard as AskStanding | AskVote | AskPatrol
    if (message.kind === 'patrol!') {
      begin()
      return
    }
    const { id } = message
    if (message.kind === 'vote?')
      void told('/vote', voteQuery(message.vote)).then((answer) => {
        host.post({ kind: 'votes', id, answer } satisfies ToldVotes)
      })
    else
      void told('/standing', new URLSearchParams()).then((answer) => {
        host.post({ kind: 'standing', id, answer } satisfies ToLedgerProbe)
      })
  })
}

const NOBODY: Answer = { status: 503, body: { error: 'nobody patrols this ledger folder' } }
