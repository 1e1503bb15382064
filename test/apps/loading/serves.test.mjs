// A test with a server in it, and an app that it starts.
import assert from 'node:assert'
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import test from 'node:test'
import { fileURLToPath } from 'node:url'

void test('a server answers', async () => {
  const server = createServer((request, response) => response.end('ok'))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const response = await fetch(`http://127.0.0.1:${server.address().port}`)
  assert.deepEqual([await response.text(), response.headers.get('traceresponse')], ['ok', null])
  server.close()
})
void test('an app that a test starts is watched', () => {
  const app = fileURLToPath(new URL('say.cjs', import.meta.url))
  const expected = process.env.NODE_OPTIONS ? 'said true\n' : 'said false\n'
  assert.equal(execFileSync(process.execPath, [app], { encoding: 'utf8' }), expected)
})
