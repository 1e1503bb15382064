import { expect, test } from 'vitest'
import { errorInText } from '../../src/http/logged-errors.ts'

const FRAMES = '\n    at load (app.js:1:2)\n    at run (app.js:3:4)'

test.each([
  ['TypeError: no such thing', 'TypeError', 'no such thing'],
  ['\u001B[31m12:00:00 [ERROR]\u001B[39m TypeError: no such thing', 'TypeError', 'no such thing'],
  ['failed: Error: two\nlines', 'Error', 'two\nlines'],
  ['TypeError [ERR_INVALID_URL]: Invalid URL', 'TypeError', 'Invalid URL'],
  ['Error', 'Error', ''],
])('the error is read from the text of its stack: %j', (head, name, message) => {
  const read = errorInText(head + FRAMES)
  expect(read).toMatchObject({ name, message })
  expect(read!.stack!.startsWith(name)).toBe(true)
  expect(read!.stack!.endsWith(FRAMES)).toBe(true)
})

test.each(['TypeError: no such thing', 'served' + FRAMES, 'terror: no' + FRAMES])(
  'no error is read from %j',
  (text) => {
    expect(errorInText(text)).toBeUndefined()
  },
)
