import { expect, test } from 'vitest'
import { draftOf, isRun, messageIdOf, readerOf } from '../../src/tasks/messaging-span.ts'

test.each([
  [
    'of today',
    { 'messaging.system': 'aws_sqs', 'messaging.destination.name': 'mail', 'messaging.message.id': 'a' },
    { system: 'aws_sqs', destination: 'mail', id: 'a' },
  ],
  [
    'of before',
    { 'messaging.system': 'kafka', 'messaging.destination': 'mail', 'messaging.message_id': 'a' },
    { system: 'kafka', destination: 'mail', id: 'a' },
  ],
  [
    'of bullmq-otel',
    { 'bullmq.queue.name': 'mail', 'bullmq.job.id': '7' },
    { system: 'bullmq', destination: 'mail', id: '7' },
  ],
  ['of nobody', {}, { system: 'shop', destination: 'send it', id: undefined }],
])('a message is called by the attributes %s', (_of, attributes, { id, ...called }) => {
  const span = { name: 'send it', attributes }
  expect(draftOf(span, 'shop')).toMatchObject(called)
  expect(messageIdOf(span)).toBe(id)
})

test.each([
  ['process mail', {}, true],
  ['mail process', { 'messaging.operation': 'process' }, true],
  ['mail deliver', { 'messaging.operation': 'deliver' }, true],
  ['receive mail', {}, false],
  ['mail receive', {}, false],
  ['receive mail', { 'messaging.operation.type': 'process' }, true],
  ['poll', { 'messaging.operation.name': 'poll', 'messaging.operation.type': 'receive' }, false],
  ['ack mail', { 'messaging.operation.type': 'settle' }, false],
  ['receiver', {}, true],
])('whether the CONSUMER span %s with %o is a run: %s', (name, attributes, expected) => {
  expect(isRun({ name, attributes })).toBe(expected)
})

test('the group of consumers is known by its names of three times', () => {
  const names = [
    'messaging.consumer.group.name',
    'messaging.kafka.consumer.group',
    'messaging.destination.subscription.name',
  ]
  const read = names.map((name) => readerOf({ name: '', attributes: { [name]: 'mailers' } }))
  expect(read).toEqual(['mailers', 'mailers', 'mailers'])
})
