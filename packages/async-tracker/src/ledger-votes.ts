// The main thread's way to the votes in the ledger: over the side thread, to whoever patrols. Nothing is asked before somebody votes.
import type { HealthView, HealthVote } from '@afterspan/core/internal'
import type { Answer } from './query/answer.ts'

export interface AskVote {
  readonly kind: 'vote?'
  readonly id: number
  readonly vote: HealthVote
}
export interface ToldVotes {
  readonly kind: 'votes'
  readonly id: number
  readonly answer: Answer
}

/** A database that is away is told after its own deadline, which is this long at most. */
const FORGOTTEN_MS = 20_000

export interface LedgerVotes {
  /** The views of the other instances; undefined where the ledger cannot be asked, or is of one host alone. */
  cast(vote: HealthVote): Promise<readonly HealthView[] | undefined>
  hear(message: ToldVotes): void
}

export function createLedgerVotes(post: (question: AskVote) => void): LedgerVotes {
  const waiting = new Map<number, (answer: Answer | undefined) => void>()
  let last = 0
  return {
    async cast(vote) {
      const id = ++last
      const answer = await new Promise<Answer | undefined>((resolve) => {
        const timer = setTimeout(() => waiting.get(id)?.(undefined), FORGOTTEN_MS).unref()
        waiting.set(id, (told) => {
          clearTimeout(timer)
          waiting.delete(id)
          resolve(told)
        })
        post({ kind: 'vote?', id, vote })
      })
      return answer?.status === 200 ? (answer.body as { readonly peers: readonly HealthView[] }).peers : undefined
    },
    hear({ id, answer }) {
      waiting.get(id)?.(answer)
    },
  }
}

/** As a path of the patrol's, which knows questions alone. */
export function voteQuery({ service, instance, down, up }: HealthVote): URLSearchParams {
  return new URLSearchParams({ service, instance, down: down.join(','), up: up.join(',') })
}

/** Undefined where it is none. */
export function voteIn(query: URLSearchParams): HealthVote | undefined {
  const service = query.get('service')
  const instance = query.get('instance')
  const names = (key: string): string[] => (query.get(key) ?? '').split(',').filter((name) => name !== '')
  return service === null || !instance ? undefined : { service, instance, down: names('down'), up: names('up') }
}
