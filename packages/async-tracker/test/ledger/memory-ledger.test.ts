import { describe } from 'vitest'
import {
  aLedgerAnswers,
  aLedgerFinds,
  aLedgerKeeps,
  aLedgerKnowsTheOldestOpen,
  aLedgerPrunes,
  type CreateLedger,
} from './conformance.ts'
import { MemoryLedger } from './memory-ledger.ts'

const create: CreateLedger = async () => {
  const store = new MemoryLedger()
  return { store, reopen: async () => store }
}

describe('a ledger in memory keeps', () => {
  aLedgerKeeps(create)
})
describe('a ledger in memory answers', () => {
  aLedgerAnswers(create)
})
describe('a ledger in memory finds', () => {
  aLedgerFinds(create)
  aLedgerKnowsTheOldestOpen(create)
})
describe('a ledger in memory prunes', () => {
  aLedgerPrunes(create)
})
