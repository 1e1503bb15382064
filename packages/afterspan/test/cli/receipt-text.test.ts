import { expect, test } from 'vitest'
import type { EpochMs, Receipt } from '@afterspan/core'
import { receiptText } from '../../src/cli/receipt-text.ts'

const RECEIPT: Receipt = {
  traceId: 'a'.repeat(32),
  request: { method: 'GET', status: 200, at: Date.UTC(2026, 10, 26, 16, 5, 43, 364) as EpochMs, service: 'web' },
  verdict: 'promised_nothing',
  tasks: [],
}

test('times are told with their zone, whatever that of the reader is', () => {
  expect(receiptText(RECEIPT).split('\n')[1]).toBe('request  GET → 200 at 2026-11-26 16:05:43.364Z, web')
})

test('a request with a route is told with it', () => {
  const text = receiptText({ ...RECEIPT, request: { ...RECEIPT.request!, route: '/orders/:id' } })
  expect(text).toContain('request  GET /orders/:id → 200')
})
