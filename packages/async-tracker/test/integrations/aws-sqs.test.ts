// AWS SQS through its SDK, against an SQS of our own, by core's own kit: what is told, and what the app sees.
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { context } from '@opentelemetry/api'
import { startSqsServer, type SqsServer } from '../../../../test/sqs-server.ts'
import { activeRequest } from '../../../core/src/http/request-record.ts'
import { isOwnWork } from '../../../core/src/sdk/suppress.ts'
import { awsSqs } from '../../src/integrations/aws-sqs.ts'
import { installed } from './installed.ts'
import { joinedStates } from './joined-states.ts'
import { createRealKit } from './real-kit.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

const real = createRealKit()
const { events } = real
const states = (): string[] => joinedStates(events)
let server: SqsServer
let sqs: any
let sdk: any
let QueueUrl: string
let count = 0

beforeAll(async () => {
  server = await startSqsServer()
  sdk = installed('@aws-sdk/client-sqs')
  awsSqs.patch(sdk, real.kit)
  awsSqs.patch(sdk, real.kit) // as when it is loaded twice
  sqs = client(server.url)
})
afterAll(async () => {
  sqs?.destroy()
  await server?.stop()
})
beforeEach(() => {
  QueueUrl = server.createQueue(`mail-${++count}`)
  real.clear()
})

function client(endpoint: string): any {
  const credentials = { accessKeyId: 'a', secretAccessKey: 's' }
  return new sdk.SQSClient({ endpoint, region: 'eu-central-1', credentials, maxAttempts: 1 })
}
function ask(name: string, input: object = {}, by = sqs): Promise<any> {
  return by.send(new sdk[`${name}Command`]({ QueueUrl, ...input }))
}
function send(MessageBody: string, more: object = {}): Promise<any> {
  return real.inRequest(() => ask('SendMessage', { MessageBody, ...more }))
}
async function receive(more: object = {}): Promise<any[]> {
  return (await ask('ReceiveMessage', { MaxNumberOfMessages: 10, WaitTimeSeconds: 5, ...more })).Messages ?? []
}
function remove({ ReceiptHandle }: { ReceiptHandle: string }): Promise<any> {
  return ask('DeleteMessage', { ReceiptHandle })
}
const ATTRIBUTE = { DataType: 'String', StringValue: 'x' }
const TEN = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`a${i}`, ATTRIBUTE]))

describe('a message', () => {
  test('is a task of its request, run in its trace; deleted, it is done, and the app sees what it sent', async () => {
    const { MessageId } = await send('one', { MessageAttributes: { a: ATTRIBUTE } })
    expect(states()).toEqual(['enqueued ()'])
    expect(events).toMatchObject([
      { kind: 'spawned', system: 'aws_sqs', destination: `mail-${count}`, route: '/order' },
      { kind: 'confirmed', messageId: MessageId },
    ])
    const [message] = await receive({ MessageAttributeNames: ['a'] })
    expect(message).toMatchObject({ Body: 'one', MessageId, MessageAttributes: { a: ATTRIBUTE } })
    expect(Object.keys(message.MessageAttributes)).toEqual(['a'])
    expect(message).not.toHaveProperty('Attributes')
    expect(states()).toEqual(['running (1 running)'])
    await remove(message)
    await real.until(() => states()[0] === 'succeeded (1 succeeded)')
    expect(server.bodiesIn(QueueUrl)).toEqual([])
    const taskId = (events[0] as { taskId: string }).taskId
    expect(real.spans.find(({ name }) => name.startsWith('process'))?.traceId).toBe(taskId.slice(0, 32))
  })
  test('with ten attributes of its own takes no context along, and is found by its id', async () => {
    await send('full', { MessageAttributes: TEN })
    const [message] = await receive({ MessageAttributeNames: ['All'] })
    expect(Object.keys(message.MessageAttributes)).toHaveLength(10)
    expect(new Set(events.map(({ taskId }: any) => taskId)).size).toBe(2)
    await remove(message)
    await real.until(() => states()[0] === 'succeeded (1 succeeded)')
  })
  test('leaves what the app gave as it was, by a callback too', async () => {
    const input = { QueueUrl, MessageBody: 'one', MessageAttributes: { a: ATTRIBUTE } }
    const before = structuredClone(input)
    const answer = await new Promise<any>((resolve, reject) => {
      const given = real.inRequest(() =>
        sqs.send(new sdk.SendMessageCommand(input), (error: unknown, output: unknown) =>
          error ? reject(error) : resolve(output),
        ),
      )
      expect(given).toBeUndefined()
    })
    expect(answer.MessageId).toMatch(/-/)
    expect(input).toEqual(before)
    expect(states()).toEqual(['enqueued ()'])
  })

  test('whose app has a callback had what it did there followed by nobody', async () => {
    const seen = await new Promise<unknown>((resolve) =>
      real.inRequest((request) =>
        sqs.send(new sdk.SendMessageCommand({ QueueUrl, MessageBody: 'one' }), () => {
          resolve([isOwnWork(), activeRequest(context.active()) === request])
        }),
      ),
    )
    expect(seen).toEqual([false, true])
  })
  test('sent with nothing behind its callback threw into the app', async () => {
    const answer = await new Promise<any>((resolve, reject) => {
      const told = (error: unknown, output: unknown): void => (error ? reject(error) : resolve(output))
      expect(sqs.send(new sdk.SendMessageCommand({ QueueUrl, MessageBody: 'one' }), told, undefined)).toBeUndefined()
    })
    expect(answer.MessageId).toMatch(/-/)
    await real.until(() => states()[0] === 'enqueued ()')
  })
  test('that is refused was never enqueued, and a rejection stays one that nobody handled', async () => {
    const unhandled = new Promise((resolve) => process.once('unhandledRejection', resolve))
    void send('refuse me')
    expect(await unhandled).toMatchObject({ name: 'InvalidMessageContents' })
    expect(states()).toEqual(['lost never_enqueued ()'])
  })
  test('without a server was never enqueued; without an answer it counts as that until somebody runs it', async () => {
    const nowhere = client('http://127.0.0.1:9')
    await expect(real.inRequest(() => ask('SendMessage', { MessageBody: 'one' }, nowhere))).rejects.toThrow(
      'ECONNREFUSED',
    )
    expect(states()).toEqual(['lost never_enqueued ()'])
    real.clear()
    const leaving = new AbortController()
    const sent = real.inRequest(() =>
      sqs.send(new sdk.SendMessageCommand({ QueueUrl, MessageBody: 'two' }), { abortSignal: leaving.signal }),
    )
    leaving.abort()
    await expect(sent).rejects.toThrow('abort')
    expect(states()).toEqual(['lost never_enqueued ()'])
  })
  test('that is purged with its queue stayed open for ever', async () => {
    await send('one')
    await ask('PurgeQueue')
    expect(real.emptied).toEqual([{ kind: 'emptied', system: 'aws_sqs', destination: `mail-${count}` }])
    server.deny('PurgeQueue')
    await expect(ask('PurgeQueue')).rejects.toThrow('not permitted')
    expect(real.emptied).toHaveLength(1)
  })
  test('that a queue has already is no second one', async () => {
    const fifo = { MessageGroupId: 'g', MessageDeduplicationId: 'd' }
    await send('one', fifo)
    await send('one', fifo)
    expect(states()).toEqual(['enqueued ()', 'cancelled deduplicated ()'])
  })
})

describe('a message that is not deleted', () => {
  test('in its time is tried again, and the second time is the one that counts', async () => {
    await send('slow')
    await receive({ VisibilityTimeout: 1 })
    const [again] = await receive()
    expect(states()).toEqual(['running (1 retrying rejected, 2 running)'])
    await remove(again)
    await real.until(() => states()[0] === 'succeeded (1 retrying rejected, 2 succeeded)')
  })
  test('in its time, and then is after all, has run', async () => {
    await send('late')
    const [message] = await receive({ VisibilityTimeout: 1 })
    await real.until(() => states()[0]!.startsWith('retrying'))
    await remove(message)
    await real.until(() => states()[0]!.startsWith('succeeded'))
    expect(states()).toEqual(['succeeded (1 retrying rejected, 1 succeeded)'])
  })
  test('while two have it runs twice, where both delete it', async () => {
    await send('twice')
    const [first] = await receive({ VisibilityTimeout: 1 })
    await real.until(() => states()[0]!.startsWith('retrying'))
    const [second] = await receive()
    await remove(second)
    await remove(first)
    await real.until(() => states()[0]!.includes('duplicate'))
    expect(states()).toEqual([expect.stringMatching(/^succeeded duplicate \(/)])
  })
  test('but given back is tried again at once; with more time it goes on', async () => {
    await send('back')
    const [first] = await receive()
    await ask('ChangeMessageVisibility', { ReceiptHandle: first.ReceiptHandle, VisibilityTimeout: 60 })
    expect(states()).toEqual(['running (1 running)'])
    await ask('ChangeMessageVisibility', { ReceiptHandle: first.ReceiptHandle, VisibilityTimeout: 0 })
    await real.until(() => states()[0] === 'retrying rejected (1 retrying rejected)')
    const [second] = await receive()
    await remove(second)
    await real.until(() => states()[0] === 'succeeded (1 retrying rejected, 2 succeeded)')
  })
  test('but given back ran twice at once, where another had it before SQS could say that it had heard', async () => {
    await send('back')
    const [{ ReceiptHandle }] = await receive()
    const heard = (): number => server.asked.filter((name) => name === 'ChangeMessageVisibility').length
    const before = heard()
    const changed = ask('ChangeMessageVisibility', { ReceiptHandle, VisibilityTimeout: 0 })
    await real.until(() => states()[0] === 'retrying rejected (1 retrying rejected)')
    expect(heard()).toBe(before)
    await changed
  })
  test('that cannot be given back, and is deleted instead, has run', async () => {
    const other = await startSqsServer()
    other.deny('ChangeMessageVisibility')
    const asking = client(other.url)
    QueueUrl = other.createQueue('mail')
    await real.inRequest(() => ask('SendMessage', { MessageBody: 'one' }, asking))
    const {
      Messages: [{ ReceiptHandle }],
    } = await ask('ReceiveMessage', {}, asking)
    await expect(ask('ChangeMessageVisibility', { ReceiptHandle, VisibilityTimeout: 0 }, asking)).rejects.toThrow(
      'not permitted',
    )
    await ask('DeleteMessage', { ReceiptHandle }, asking)
    await real.until(() => states()[0] === 'succeeded (1 retrying rejected, 1 succeeded)')
    asking.destroy()
    await other.stop()
  })
  test('as often as its queue tries has failed; who reads the dead letters does other work', async () => {
    const deadLetters = server.createQueue(`dead-${count}`)
    QueueUrl = server.createQueue(`short-${count}`, { visibilitySeconds: 1, deadLetters, maxReceives: 2 })
    await receive({ WaitTimeSeconds: 0 }) // the queue is asked for its policy
    await real.until(() => server.asked.includes('GetQueueAttributes'))
    await send('bad')
    await receive()
    await receive()
    await real.until(() => states()[0] === 'failed retries_exhausted (1 retrying rejected, 2 failed retries_exhausted)')
    await receive({ WaitTimeSeconds: 1 })
    QueueUrl = deadLetters
    const [dead] = await receive()
    expect(dead).toMatchObject({ Body: 'bad' })
    expect(dead).not.toHaveProperty('Attributes')
    expect(states()[1]).toBe('stray running (3 running)')
  })
  test('and whose queue may not be asked for its policy is tried again without a last time', async () => {
    const other = await startSqsServer()
    other.deny('GetQueueAttributes')
    const asking = client(other.url)
    QueueUrl = other.createQueue('mail')
    await real.inRequest(() => ask('SendMessage', { MessageBody: 'one' }, asking))
    const {
      Messages: [message],
    } = await ask('ReceiveMessage', {}, asking)
    await ask('ChangeMessageVisibility', { ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: 0 }, asking)
    await real.until(() => states()[0] === 'retrying rejected (1 retrying rejected)')
    expect(other.asked).toContain('GetQueueAttributes')
    asking.destroy()
    await other.stop()
  })
})

describe('several in one call', () => {
  const batch = (...bodies: string[]): Promise<any> =>
    real.inRequest(() =>
      ask('SendMessageBatch', { Entries: bodies.map((MessageBody, i) => ({ Id: `e${i}`, MessageBody })) }),
    )
  test('are tasks, each with a context of its own; one that is refused was never enqueued', async () => {
    expect(await batch('one', 'refuse', 'three')).toMatchObject({ Failed: [{ Id: 'e1' }] })
    await real.until(() => states()[1] === 'lost never_enqueued ()')
    expect(states()).toEqual(['enqueued ()', 'lost never_enqueued ()', 'enqueued ()'])
    const messages = await receive()
    expect(states()).toEqual(['running (1 running)', 'lost never_enqueued ()', 'running (1 running)'])
    const Entries = messages.map(({ ReceiptHandle }, i) => ({ Id: `d${i}`, ReceiptHandle }))
    await ask('DeleteMessageBatch', { Entries: Entries.slice(0, 1) })
    await real.until(() => states()[0] === 'succeeded (1 succeeded)')
    expect(states()[2]).toBe('running (1 running)')
    await ask('ChangeMessageVisibilityBatch', { Entries: [{ ...Entries[1], VisibilityTimeout: 0 }] })
    await real.until(() => states()[2] === 'retrying rejected (1 retrying rejected)')
  })
  test('with one that is no entry were sent without it, where the SDK has an error of its own', async () => {
    await expect(ask('SendMessageBatch', { Entries: [null, { Id: '1', MessageBody: 'one' }] })).rejects.toThrow('null')
    expect(events).toEqual([])
  })
  test('without a queue are none', async () => {
    QueueUrl = `${server.url}/000/nowhere`
    await expect(batch('one', 'two')).rejects.toThrow('no queue')
    expect(states()).toEqual(['lost never_enqueued ()', 'lost never_enqueued ()'])
  })
})

test('nothing went wrong inside, and what is no business of ours is left alone', async () => {
  expect(await ask('GetQueueAttributes', { AttributeNames: ['All'] })).toMatchObject({
    Attributes: { VisibilityTimeout: '30' },
  })
  expect(sqs.send.name).toBe('send')
  expect(real.errors).toEqual([])
})
