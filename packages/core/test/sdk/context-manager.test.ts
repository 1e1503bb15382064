import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api'
import { EventEmitter, once } from 'node:events'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AsyncContextManager } from '../../src/sdk/context-manager.ts'

const KEY = createContextKey('who')
const SHOP = ROOT_CONTEXT.setValue(KEY, 'shop')
const who = (): unknown => context.active().getValue(KEY)

beforeAll(() => {
  context.setGlobalContextManager(new AsyncContextManager())
})
afterAll(() => {
  context.disable()
})

test('listeners of an emitter that was bound to a context did not run in it', () => {
  const heard: unknown[] = []
  const emitter = context.bind(SHOP, new EventEmitter())
  const hear = () => heard.push(who())
  for (const method of ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener'] as const)
    emitter[method]('event', hear)
  emitter.emit('event')
  emitter.emit('event')
  expect(heard).toEqual(Array.from({ length: 8 }, () => 'shop'))
  expect(who()).toBeUndefined()
  for (let i = 0; i < 3; i++) emitter.off('event', hear)
  expect(emitter.listenerCount('event')).toBe(0)
})

test('the first context of an emitter stays, and what a listener gets and returns', async () => {
  const stream = context.bind(SHOP.setValue(KEY, 'other'), context.bind(SHOP, new PassThrough()))
  const told = new Promise((resolve) => {
    stream.on('data', function (this: unknown, chunk) {
      resolve([this === stream, String(chunk), who()])
    })
  })
  stream.end('text')
  expect(await told).toEqual([true, 'text', 'shop'])
  await once(stream, 'end')
  expect(stream.listenerCount('end')).toBe(0)
})
