import { expect, test } from 'vitest'
import { KnownClients } from '../src/known-clients.ts'

interface Client {
  readonly n: number
  isGone?: true
}

function setUp() {
  const rejected: string[] = []
  const known = new KnownClients<Client>(
    'pools of x',
    ({ isGone }) => isGone === true,
    (why) => rejected.push(why),
  )
  const clients: Client[] = Array.from({ length: 20 }, (_, n) => ({ n }))
  expect(clients.map((client) => known.add(client))).not.toContain(false)
  return { known, clients, rejected }
}

test('twenty are asked; one more is said and left alone', () => {
  const { known, rejected } = setUp()
  expect(known.add({ n: 20 })).toBe(false)
  expect(rejected).toEqual(['there are 20 pools of x already'])
  expect([...known].map(({ n }) => n)).toEqual([...Array(20).keys()])
})

test('one that is known needs no other place', () => {
  const { known, clients, rejected } = setUp()
  expect(known.add(clients[3]!)).toBe(true)
  expect([rejected, [...known].length]).toEqual([[], 20])
})

test('one that is gone leaves its place', () => {
  const { known, clients, rejected } = setUp()
  clients[3]!.isGone = true
  expect(known.add({ n: 20 })).toBe(true)
  expect([rejected, [...known].some(({ n }) => n === 3)]).toEqual([[], false])
})

test('whether another one is so, not whether it is so itself', () => {
  const { known, clients } = setUp()
  const isThird = ({ n }: Client): boolean => n === 3
  expect([known.isAnother(clients[3]!, isThird), known.isAnother(clients[4]!, isThird)]).toEqual([false, true])
})
