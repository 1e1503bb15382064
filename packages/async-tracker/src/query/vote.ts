import type { LedgerStore } from '../ledger/store.ts'
import { voteIn } from '../ledger-votes.ts'
import type { Answer } from './answer.ts'

/** `/vote?service=&instance=&down=&up=`: with what the peers of that instance see as the answer. */
export async function castVote(ledger: LedgerStore, query: URLSearchParams): Promise<Answer> {
  const vote = voteIn(query)
  if (!vote) return { status: 400, body: { error: 'service and instance are needed' } }
  if (!ledger.vote) return { status: 501, body: { error: 'this ledger is of one host alone' } }
  return { status: 200, body: { peers: await ledger.vote(vote) } }
}
