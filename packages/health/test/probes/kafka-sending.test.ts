import { beforeEach, expect, test } from 'vitest'
import { Sending } from '../../src/probes/kafka-sending.ts'

const WELL = { status: 'pass' } as const
let now: number
let sending: Sending

beforeEach(() => {
  now = 0
  sending = new Sending(() => now)
})
const ended = (topic: string, code?: string): void => {
  now += 100
  sending.ended(topic, code)
}

test('a producer to which everything is refused fails, until it may send again', () => {
  ended('mail')
  ended('mail', 'no_permission')
  expect(sending.judge(WELL)).toMatchObject({ status: 'warn', code: 'no_permission' })
  ended('mail', 'no_permission')
  expect(sending.judge(WELL)).toMatchObject({ status: 'fail', code: 'no_permission', cause: 'dependency' })
  expect(sending.isRefused).toBe(true)
  ended('mail')
  expect(sending.judge(WELL)).toBe(WELL)
  expect(sending.isRefused).toBe(false)
})

test('one topic that may not be written, while another one is, is a warning', () => {
  ended('audit', 'no_permission')
  ended('mail')
  ended('audit', 'no_permission')
  expect(sending.judge(WELL)).toMatchObject({ status: 'warn', observed: { refused: { value: 2 } } })
})

test('too few replicas in sync are told also where the client may not read what the least is', () => {
  ended('mail', 'under_min_isr')
  ended('mail', 'under_min_isr')
  expect(sending.judge(WELL)).toMatchObject({ status: 'fail', code: 'under_min_isr' })
})

test('what the brokers themselves tell goes before; what is of the message, or long ago, says nothing', () => {
  const frozen = { status: 'fail', code: 'timeout' } as const
  ended('mail', 'timeout')
  ended('mail', 'not_connected')
  expect(sending.judge(WELL)).toBe(WELL)
  ended('mail', 'no_permission')
  expect(sending.judge(frozen)).toBe(frozen)
  now += 30_000
  expect(sending.judge(WELL)).toBe(WELL)
})
