import type { RequestRecord } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import { Endpoints, template } from '../src/endpoints.ts'

function request(route?: string, ended = true): RequestRecord {
  return { ref: { traceId: '', spanId: '', sampled: true }, ended, ...(route ? { route } : {}) } as RequestRecord
}

test.each([
  ['/orders/:id', '/orders/{id}'],
  ['/orders/:id(\\d+)/items/:item?', '/orders/{id}/items/{item}'],
  ['/files/*', '/files/*'],
  ['/plain', '/plain'],
])('%s is %s', (route, expected) => {
  expect(template(route)).toBe(expected)
})

test('those that are used most come first, each once, however many calls a request makes', () => {
  const endpoints = new Endpoints()
  for (let i = 0; i < 3; i++) endpoints.add(request('/often'), i)
  const one = request('/seldom')
  for (let i = 0; i < 50; i++) endpoints.add(one, i)
  endpoints.add(request(undefined), 1)
  expect(endpoints.told(2)).toEqual(['/often', '/seldom'])
})

test('a route is known once the request has been answered', () => {
  const endpoints = new Endpoints()
  const open = { ...request(undefined, false) }
  endpoints.add(open, 1)
  expect(endpoints.told(1)).toEqual([])
  Object.assign(open, { ended: true, route: '/late' })
  expect(endpoints.told(1)).toEqual(['/late'])
})

test('what is not used any more is affected no more', () => {
  const endpoints = new Endpoints()
  endpoints.add(request('/old'), 0)
  expect(endpoints.told(0)).toEqual(['/old'])
  endpoints.add(request('/new'), 3_000_000)
  expect(endpoints.told(3_700_000)).toEqual(['/new'])
})

test('requests that are never answered, and routes without number, take no room without bound', () => {
  const endpoints = new Endpoints()
  for (let i = 0; i < 10_000; i++) endpoints.add(request(undefined, false), 0)
  for (let i = 0; i < 10_000; i++) endpoints.add(request(`/r${i}`), 0)
  expect(endpoints.told(0)).toHaveLength(20)
})
