import { expect, test } from 'vitest'
import { lineWithIds } from '../../src/logs/console.ts'

const ids = { trace_id: 'T', span_id: 'S', trace_flags: '01' }

test.each([
  ['a raw line', 'a raw line trace_id=T span_id=S'],
  ['', ''],
  ['two\nlines', 'two\nlines trace_id=T span_id=S'],
  ['{"a":1}', '{"a":1,"trace_id":"T","span_id":"S"}'],
  ['{"a":"}"}\n', '{"a":"}","trace_id":"T","span_id":"S"}\n'],
  ['{ }', '{ "trace_id":"T","span_id":"S"}'],
  ['{"trace_id":"own"}', '{"trace_id":"own"}'],
  ['{"a":1}\n{"b":2}\n', '{"a":1,"trace_id":"T","span_id":"S"}\n{"b":2,"trace_id":"T","span_id":"S"}\n'],
  ['{"a":1}\nno json', '{"a":1}\nno json trace_id=T span_id=S'],
  ['{\n  "a": 1\n}', '{\n  "a": 1\n,"trace_id":"T","span_id":"S"}'],
  ['{ a: 1 }', '{ a: 1 } trace_id=T span_id=S'],
  ['[1]', '[1]'],
  ['[info] text', '[info] text trace_id=T span_id=S'],
  ['by another logger, T', 'by another logger, T'],
])('%j', (line, wanted) => {
  expect(lineWithIds(line, ids)).toBe(wanted)
})
