import { expect, test } from 'vitest'
import { chooseFormat, takesGzip } from '../../src/metrics/accept.ts'

const OPEN = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
const TEXT = 'text/plain; version=0.0.4; charset=utf-8'
const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'

test.each([
  [undefined, TEXT],
  ['', TEXT],
  ['*/*', TEXT],
  [PROMETHEUS_3, OPEN],
  ['application/openmetrics-text', OPEN],
  ['Application/OpenMetrics-Text; Version="1.0.0"', OPEN],
  ['application/openmetrics-text; version=0.0.1', 'application/openmetrics-text; version=0.0.1; charset=utf-8'],
  ['application/openmetrics-text; version=2.0.0', TEXT],
  ['application/openmetrics-text;q=0.4, text/plain;q=0.5', TEXT],
  ['application/openmetrics-text;q=0.5, text/plain;q=0.5', OPEN],
  ['application/openmetrics-text;q=0, */*', TEXT],
  ['application/openmetrics-text;q=0.5, text/plain;q=0.1, */*;q=1', OPEN],
  ['application/openmetrics-text;q=0.5, text/*;q=0.9', TEXT],
  ['application/openmetrics-text;q=nonsense', TEXT],
  ['text/html,application/xhtml+xml,*/*;q=0.8', TEXT],
  ['application/json', TEXT],
])('Accept: %s', (accept, contentType) => {
  expect(chooseFormat(accept)).toBe(contentType)
})

test.each([
  [undefined, false],
  ['gzip', true],
  ['deflate, GZIP;q=0.5', true],
  ['gzip;q=0', false],
  ['*', true],
  ['gzip;q=0, *', false],
  ['br, identity', false],
])('Accept-Encoding: %s', (accept, is) => {
  expect(takesGzip(accept)).toBe(is)
})
