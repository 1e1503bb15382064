import { expect, test } from 'vitest'
import { shownUrl } from '../../src/sdk/otlp/settings.ts'
import { redact, toFailure } from '../../src/tasks/redact.ts'

test.each([
  'postgres://shop:hid@den@db:5432/shop is not there',
  'GET https://bank.example/?access_token=hidden&page=2 failed',
  'refresh_token: hidden',
  'DB_PASSWORD=hidden npm start',
  'clientSecret: hidden',
  '{"client_secret":"hidden","password":"hidden and more hidden"}',
  "password='it is hidden' host=db",
  'token="hidden without an end',
  'https://store.example/a?X-Amz-Signature=hidden',
  'Authorization: Bearer hidden-hidden',
])('a secret was in the ledger: %s', (text) => {
  expect(redact(text)).not.toMatch(/hid|den/)
})

test.each([
  'Unexpected token \'a\', "abc" is not valid JSON',
  'connect ECONNREFUSED 127.0.0.1:5432',
  'npm i https://registry.example/@shop/core failed',
  'the password is wrong',
])('what is no secret stays: %s', (text) => {
  expect(redact(text)).toBe(text)
})

test('redacts hostile texts in linear time', () => {
  const texts = ['//', 'token', 'token="', 'password ', 'secret=', 'Bearer '].map((part) =>
    part.repeat(4_096 / part.length),
  )
  const before = performance.now()
  for (const text of [...texts, `token${' '.repeat(4_090)}`]) redact(text)
  expect(performance.now() - before).toBeLessThan(2_000)
})

test.each([
  ['http://user:hid@den@host:4318/v1/traces', 'http://host:4318/v1/traces'],
  ['https://host/v1/traces?key=hidden', 'https://host/v1/traces?…'],
  ['https://host/v1/@traces', 'https://host/v1/@traces'],
])('the address of a collector is shown without a secret: %s', (url, shown) => {
  expect(shownUrl({ url })).toBe(shown)
})

test.for<[string, unknown]>([
  ['RangeError', new RangeError('x')],
  ['AbortError', Object.assign(new Error('enough'), { name: 'AbortError' })],
  ['TimeoutError', new DOMException('late', 'TimeoutError')],
  ['ECONNRESET', Object.assign(new Error('gone'), { name: 'RedisError', code: 'ECONNRESET' })],
  ['Error', new Error('x')],
  ['Refusal', new (class Refusal extends Error {})('x')],
  [
    'Refusal',
    new (class e extends Error {
      override name = 'Refusal'
    })('x'),
  ],
  ['TimeoutError', Object.assign(new (class TimeoutErrorImpl extends Error {})('x'), { name: 'TimeoutError' })],
  ['Missing', Object.assign(new (class Missing extends Error {})('x'), { name: 'Refusal' })],
  ['e', new (class e extends Error {})('x')],
  ['null', null],
])(
  'an error whose name was given to it was called Error, or as a bundler had called its class: %s',
  ([type, error]) => {
    expect(toFailure(error).type).toBe(type)
  },
)
