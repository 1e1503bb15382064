// An SQS for tests: queues in memory, asked by the AWS JSON protocol that the SDK speaks. As much of SQS as decides what becomes of a
// message: visibility timeouts, receive counts, dead letters, batches of which one entry is refused, queues that take a message once.
import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Fields = Record<string, any>
interface Stored {
  readonly id: string
  readonly body: string
  readonly attributes: Fields
  receives: number
  visibleAt: number
  handle: string
  from?: string
}
interface Queue {
  readonly name: string
  readonly settings: Fields
  readonly messages: Stored[]
  readonly once: Map<string, string>
}

export interface SqsServer {
  readonly url: string
  /** A new queue; its address. `deadLetters`: the address of another, for what was received `maxReceives` times. */
  createQueue(
    name: string,
    settings?: { visibilitySeconds?: number; deadLetters?: string; maxReceives?: number },
  ): string
  /** Bodies of what is in it, seen or not. */
  bodiesIn(queueUrl: string): string[]
  /** Actions that were asked for, in order. */
  readonly asked: string[]
  /** From now on the action is refused, as where it is not permitted. */
  deny(action: string): void
  stop(): Promise<void>
}

class Refusal extends Error {
  readonly type: string
  constructor(type: string, message: string) {
    super(message)
    this.type = type
  }
}

export async function startSqsServer(): Promise<SqsServer> {
  const queues = new Map<string, Queue>()
  const asked: string[] = []
  const denied = new Set<string>()
  const server: Server = createServer((req, res) => void serve(req, res))
  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of req) chunks.push(chunk as Buffer)
    const action = String(req.headers['x-amz-target']).replace('AmazonSQS.', '')
    const reply = (status: number, body: Fields): void => {
      res.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body))
    }
    try {
      asked.push(action)
      if (denied.has(action)) throw new Refusal('AccessDeniedException', 'not permitted')
      reply(
        200,
        await answer(queues, action, JSON.parse(Buffer.concat(chunks).toString()) as Fields, () => res.destroyed),
      )
    } catch (error) {
      const { type = 'InternalError', message } = error as Partial<Refusal>
      reply(type === 'InternalError' ? 500 : 400, { __type: `com.amazonaws.sqs#${type}`, message })
    }
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    asked,
    createQueue(name, { visibilitySeconds = 30, deadLetters, maxReceives } = {}) {
      const policy = deadLetters && {
        deadLetterTargetArn: `arn:aws:sqs:x:0:${deadLetters.split('/').at(-1)}`,
        maxReceiveCount: maxReceives,
      }
      const settings = {
        VisibilityTimeout: String(visibilitySeconds),
        ...(policy ? { RedrivePolicy: JSON.stringify(policy) } : {}),
      }
      queues.set(name, { name, settings, messages: [], once: new Map() })
      return `${url}/000/${name}`
    },
    bodiesIn: (queueUrl) => queueIn(queues, { QueueUrl: queueUrl }).messages.map(({ body }) => body),
    deny: (action) => void denied.add(action),
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answer(
  queues: ReadonlyMap<string, Queue>,
  action: string,
  input: Fields,
  isGone: () => boolean,
): Promise<Fields> {
  const queue = queueIn(queues, input)
  switch (action) {
    case 'SendMessage':
      return send(queue, input)
    case 'SendMessageBatch':
      return batch(input, (entry) => send(queue, entry))
    case 'ReceiveMessage':
      return receive(queues, queue, input, isGone)
    case 'DeleteMessage':
      remove(queue, input)
      return {}
    case 'DeleteMessageBatch':
      return batch(input, (entry) => remove(queue, entry))
    case 'ChangeMessageVisibility':
      change(queue, input)
      return {}
    case 'ChangeMessageVisibilityBatch':
      return batch(input, (entry) => change(queue, entry))
    case 'PurgeQueue':
      queue.messages.length = 0
      return {}
    case 'GetQueueAttributes':
      return { Attributes: queue.settings }
    default:
      throw new Refusal('UnsupportedOperation', action)
  }
}

function queueIn(queues: ReadonlyMap<string, Queue>, { QueueUrl: url }: Fields): Queue {
  const queue = queues.get(String(url).split('/').at(-1)!)
  if (!queue) throw new Refusal('QueueDoesNotExist', `no queue ${String(url)}`)
  return queue
}

function batch(input: Fields, run: (entry: Fields) => Fields): Fields {
  const Successful: Fields[] = []
  const Failed: Fields[] = []
  for (const entry of input['Entries'] as Fields[])
    try {
      Successful.push({ Id: entry['Id'], ...run(entry) })
    } catch (error) {
      Failed.push({
        Id: entry['Id'],
        Code: (error as Refusal).type,
        Message: (error as Error).message,
        SenderFault: true,
      })
    }
  return { Successful, Failed }
}

function send(
  queue: Queue,
  { MessageBody: body, MessageAttributes: attributes = {}, MessageDeduplicationId: key }: Fields,
): Fields {
  if (Object.keys(attributes as Fields).length > 10)
    throw new Refusal('InvalidParameterValue', 'more than 10 attributes')
  if (String(body).startsWith('refuse')) throw new Refusal('InvalidMessageContents', 'this body is refused')
  const known = key === undefined ? undefined : queue.once.get(String(key))
  const id = known ?? randomUUID()
  if (key !== undefined) queue.once.set(String(key), id)
  if (!known)
    queue.messages.push({
      id,
      body: String(body),
      attributes: attributes as Fields,
      receives: 0,
      visibleAt: 0,
      handle: '',
    })
  return { MessageId: id, MD5OfMessageBody: md5(String(body)) }
}

async function receive(
  queues: ReadonlyMap<string, Queue>,
  queue: Queue,
  input: Fields,
  /** Whoever asked has left: nothing is handed out to nobody. */
  isGone: () => boolean,
): Promise<Fields> {
  const until = Date.now() + Number(input['WaitTimeSeconds'] ?? 0) * 1_000
  for (;;) {
    if (isGone()) return {}
    buryDead(queues, queue)
    const found = queue.messages
      .filter(({ visibleAt }) => visibleAt <= Date.now())
      .slice(0, Number(input['MaxNumberOfMessages'] ?? 1))
    if (found.length > 0) return { Messages: found.map((message) => handOut(queue, message, input)) }
    if (Date.now() >= until) return {}
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function handOut(queue: Queue, message: Stored, input: Fields): Fields {
  const seconds = Number(input['VisibilityTimeout'] ?? queue.settings['VisibilityTimeout'])
  message.visibleAt = Date.now() + seconds * 1_000
  message.receives++
  message.handle = randomUUID()
  const wanted = [
    ...((input['AttributeNames'] as string[]) ?? []),
    ...((input['MessageSystemAttributeNames'] as string[]) ?? []),
  ]
  const system = {
    ApproximateReceiveCount: String(message.receives),
    ...(message.from ? { DeadLetterQueueSourceArn: message.from } : {}),
  }
  const names = (input['MessageAttributeNames'] as string[]) ?? []
  const picked = (all: Fields, isWanted: (name: string) => boolean): Fields | undefined => {
    const some = Object.entries(all).filter(([name]) => isWanted(name))
    return some.length > 0 ? Object.fromEntries(some) : undefined
  }
  return {
    MessageId: message.id,
    ReceiptHandle: message.handle,
    Body: message.body,
    MD5OfBody: md5(message.body),
    Attributes: picked(system, (name) => wanted.includes('All') || wanted.includes(name)),
    MessageAttributes: picked(message.attributes, (name) => names.includes('All') || names.includes(name)),
  }
}

/** What was received too often goes to the queue of the dead when it would be received again. */
function buryDead(queues: ReadonlyMap<string, Queue>, queue: Queue): void {
  if (!queue.settings['RedrivePolicy']) return
  const { deadLetterTargetArn, maxReceiveCount } = JSON.parse(String(queue.settings['RedrivePolicy'])) as Fields
  for (const message of queue.messages.slice()) {
    if (message.visibleAt > Date.now() || message.receives < Number(maxReceiveCount)) continue
    queue.messages.splice(queue.messages.indexOf(message), 1)
    const dead = queues.get(String(deadLetterTargetArn).split(':').at(-1)!)
    dead?.messages.push({ ...message, visibleAt: 0, from: `arn:aws:sqs:x:0:${queue.name}` })
  }
}

function remove(queue: Queue, { ReceiptHandle: handle }: Fields): Fields {
  const at = queue.messages.findIndex((message) => message.handle === handle)
  if (at >= 0) queue.messages.splice(at, 1)
  return {}
}

function change(queue: Queue, { ReceiptHandle: handle, VisibilityTimeout: seconds }: Fields): Fields {
  const message = queue.messages.find((one) => one.handle === handle)
  if (!message) throw new Refusal('ReceiptHandleIsInvalid', 'unknown handle')
  message.visibleAt = Date.now() + Number(seconds) * 1_000
  return {}
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}
