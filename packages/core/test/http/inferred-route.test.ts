import { describe, expect, test } from 'vitest'
import { createInferredRoutes, inferRoute } from '../../src/http/inferred-route.ts'

describe('the template of a path', () => {
  test.each([
    ['/', '/'],
    ['//', '/'],
    ['/users', '/users'],
    ['/users/', '/users'],
    ['/users/42', '/users/{id}'],
    ['/users/42/orders/7', '/users/{id}/orders/{id}'],
    ['/u/9f1c2b7e-93a1-4c0e-8d5e-0a1b2c3d4e5f', '/u/{id}'],
    ['/commit/1a2b3c4d', '/commit/{id}'],
    ['/commit/da39a3ee5e6b4b0d3255bfef95601890afd80709', '/commit/{id}'],
    ['/id/507f1f77bcf86cd799439011', '/id/{id}'],
    ['/id/01ARZ3NDEKTSV4RRFFQ69G5FAV', '/id/{id}'],
    ['/id/abcdefabcdefabcd', '/id/{id}'],
    ['/t/kJhGfDsAqWeRtYuIoPlZxC', '/t/{id}'],
    ['/day/2026-01-31', '/day/{id}'],
    ['/point/52.5,13.4', '/point/{id}'],
    ['/mail/someone@example.org', '/mail/{id}'],
    ['/find/a%20b', '/find/{id}'],
    ['/order-12345', '/{id}'],
    ['/file/12345.png', '/file/{id}'],
    ['/api/v1/oauth2/sha256', '/api/v1/oauth2/sha256'],
    ['/app.js', '/app.js'],
    ['/facade/decade', '/facade/decade'],
    ['/account-settings/two-factor', '/account-settings/two-factor'],
    ['/getUserPreferencesByName', '/getUserPreferencesByName'],
    [`/${'word'.repeat(20)}`, '/{id}'],
    ['/a/b/c/d/e/f/g/h/i/j', '/a/b/c/d/e/f/g/h/{rest}'],
    [`/${'a/'.repeat(600)}`, undefined],
    ['*', undefined],
    ['example.org:443', undefined],
    ['http://example.org/users', undefined],
  ])('%.40s is %s', (path, template) => {
    expect(inferRoute(path)).toBe(template)
  })
})

test('10,000 made-up paths that are answered leave as many templates as are allowed', () => {
  const routes = createInferredRoutes(100)
  const seen = new Set<string | undefined>()
  for (let n = 0; n < 10_000; n++) seen.add(routes.of(`/w${word(n)}`, 200))
  expect(seen.size).toBe(101)
  expect(seen.has(undefined)).toBe(true)
  expect(routes.of(`/w${word(0)}`, 200)).toBe(`/w${word(0)}`)
})

test('a refused request is told by a template that is known, and makes none', () => {
  const routes = createInferredRoutes(100)
  expect(routes.of('/users/1', 401)).toBeUndefined()
  expect(routes.of('/users/1', 200)).toBe('/users/{id}')
  expect(routes.of('/users/2', 401)).toBe('/users/{id}')
  expect(routes.of('/users/2', 404)).toBeUndefined()
  expect(routes.of('/broken', 500)).toBe('/broken')
})

test('0 turns it off', () => {
  expect(createInferredRoutes(0).of('/users', 200)).toBeUndefined()
})

function word(n: number): string {
  return n.toString(26).replaceAll(/\d/g, (digit) => 'qrstuvwxyz'[Number(digit)]!)
}
