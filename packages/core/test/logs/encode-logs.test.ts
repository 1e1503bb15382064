import { expect, test } from 'vitest'
import { encodeLog, encodeLogs } from '../../src/logs/export/encode-logs.ts'
import { otlpJson } from '../../src/sdk/otlp/otlp-json.ts'

const LIMITS = { attributes: 128, valueLength: 100 }
const scope = { name: 'test' }

function told(entry: { readonly body?: unknown; readonly attributes?: Record<string, unknown> }): unknown {
  const whole = { scope, observedMs: 1, severity: 9, attributes: {}, ids: undefined, ...entry }
  const body = encodeLogs({}, [{ scope, bytes: encodeLog(whole, LIMITS) }])
  return JSON.parse(otlpJson(body, 'logs')).resourceLogs[0].scopeLogs[0].logRecords[0]
}

test('a record of an object that leads to itself in many ways, as a request does, stopped the process for a minute', () => {
  const nodes = Array.from({ length: 20 }, (_, n): Record<string, unknown> => ({ n }))
  for (const node of nodes) for (const [i, other] of nodes.entries()) node[`to${i}`] = other
  const text = JSON.stringify(told({ body: nodes[0], attributes: { req: nodes[1] } }))
  expect(text.length).toBeLessThan(500_000)
  expect(text).toContain('"key":"n","value":{"intValue":"1"}')
})

test('the texts inside of an object were not cut', () => {
  const long = 'x'.repeat(10_000)
  const { attributes, body } = told({ body: { long }, attributes: { user: { long, list: [long] } } }) as Record<
    string,
    unknown
  >
  expect(JSON.stringify(attributes)).not.toContain('x'.repeat(101))
  expect(JSON.stringify(attributes)).toContain('x'.repeat(100))
  expect(JSON.stringify(body)).toContain(long)
})

test('dates, numbers without end and objects of classes are told', () => {
  class Order {
    id = 12n
    at = new Date(0)
  }
  const order = new Order()
  expect(told({ attributes: { order, again: [order, order] } })).toMatchObject({
    attributes: [
      {
        key: 'order',
        value: {
          kvlistValue: {
            values: [
              { key: 'id', value: { stringValue: '12' } },
              { key: 'at', value: { stringValue: '1970-01-01T00:00:00.000Z' } },
            ],
          },
        },
      },
      { key: 'again', value: { arrayValue: { values: [{ kvlistValue: {} }, { kvlistValue: {} }] } } },
    ],
  })
})
