import { expect, test } from 'vitest'
import { describeRequest, pathOf, type RequestHead } from '../../src/http/request-attributes.ts'

test.each([
  ['/', '/'],
  ['/a/b?x=1', '/a/b'],
  ['/a?b?c', '/a'],
  ['*', '*'],
  ['example.org:443', 'example.org:443'],
  ['http://user:hunter2@example.org/a/b?x=1', '/a/b'],
  ['HTTPS://example.org', '/'],
  ['', '/'],
])('the path of the target %s is %s', (target, path) => {
  expect(pathOf(target)).toBe(path)
})

test('credentials of an absolute target reach no attribute, and its query is redacted', () => {
  const url = 'http://user:hunter2@example.org/a?token=hunter3&page=2'
  const socket = { remoteAddress: '127.0.0.1', remotePort: 4_711, localPort: 80 }
  const head = { headers: { host: 'example.org' }, httpVersion: '1.1', method: 'GET', socket, url } as RequestHead
  const { attributes } = describeRequest(head, pathOf(url))
  expect(attributes).toMatchObject({ 'url.path': '/a', 'url.query': 'token=REDACTED&page=2' })
  expect(JSON.stringify(attributes)).not.toContain('hunter')
})
