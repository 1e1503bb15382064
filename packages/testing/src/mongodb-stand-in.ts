// A MongoDB for tests, since none can be had where they run: as much of the wire protocol as a driver needs to connect, to watch the
// server, and to hear what the test says of it. Nothing is stored.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** What the drivers export as BSON. */
export interface Bson {
  serialize(document: object): Uint8Array
  deserialize(bytes: Uint8Array): Record<string, unknown>
}
export type MongoRole = 'standalone' | 'primary' | 'secondary' | 'mongos'
export interface MongoRefusal {
  readonly code: number
  readonly codeName?: string
  readonly errmsg?: string
  /** It is done, but for these. */
  readonly ok?: 1
  readonly writeErrors?: readonly { readonly index: number; readonly code: number; readonly errmsg: string }[]
}

export interface MongoDbStandIn {
  /** `mongodb://127.0.0.1:port`, the same after start(). */
  readonly url: string
  /** Commands of pools, as `shop.find`, in order; those of monitors, of handshakes and of sessions are left out. */
  readonly asked: string[]
  /** What it says of itself, from the next question of a monitor on. A set of one member; `standalone` and `mongos` are in none. */
  role: MongoRole
  /** The command is refused so, or not any more. */
  refuse(command: string, refusal: MongoRefusal | undefined): void
  /** From now on it answers nothing; with names, nothing of these commands. */
  freeze(...commands: string[]): void
  /** What it was asked meanwhile is answered now. */
  thaw(): void
  connections(): number
  /** Connections end, and new ones are refused. */
  stop(): Promise<void>
  start(): Promise<void>
}

interface Question {
  readonly id: number
  readonly isMessage: boolean
  readonly command: Record<string, unknown>
}

const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013
const HEADER = 16
const OF_MONITORS = new Set(['hello', 'ismaster', 'isMaster', 'endSessions', 'saslStart', 'saslContinue'])

export async function startMongoDbStandIn(bson: Bson, role: MongoRole = 'standalone'): Promise<MongoDbStandIn> {
  const refusals = new Map<string, MongoRefusal>()
  const asked: string[] = []
  let isFrozen: (command: string) => boolean = () => false
  let held: (() => void)[] = []
  const answer = (name: string): object => refused(refusals.get(name)) ?? answerTo(name, standIn.role, door.port())
  const onQuestion = (socket: Socket, { command, id, isMessage }: Question): void => {
    const name = Object.keys(command)[0] ?? ''
    if (!OF_MONITORS.has(name)) asked.push(`${String(command['$db'])}.${name}`)
    const reply = (): void => {
      if (!socket.destroyed) socket.write(frame(id, isMessage, bson.serialize(answer(name))))
    }
    if (isFrozen(name)) held.push(reply)
    else reply()
  }
  const door = newDoor((socket) => readQuestions(socket, bson, (question) => onQuestion(socket, question)))
  const standIn: MongoDbStandIn = {
    get url() {
      return `mongodb://127.0.0.1:${door.port()}`
    },
    asked,
    role,
    refuse(command, refusal) {
      if (refusal) refusals.set(command, refusal)
      else refusals.delete(command)
    },
    freeze: (...commands) => {
      isFrozen = (name) => commands.length === 0 || commands.includes(name)
    },
    thaw() {
      isFrozen = () => false
      const late = held
      held = []
      for (const reply of late) reply()
    },
    connections: door.connections,
    stop: door.close,
    start: door.open,
  }
  await standIn.start()
  return standIn
}

/** Opens at the same port again. */
function newDoor(onSocket: (socket: Socket) => void): {
  port(): number
  connections(): number
  open(): Promise<void>
  close(): Promise<void>
} {
  const sockets = new Set<Socket>()
  let server: Server | undefined
  let port = 0
  return {
    port: () => port,
    connections: () => sockets.size,
    async open() {
      const opening = createServer((socket) => {
        sockets.add(socket)
        socket.on('close', () => sockets.delete(socket))
        onSocket(socket)
      })
      await new Promise<void>((resolve, reject) => {
        opening.once('error', reject).listen(port, '127.0.0.1', resolve)
      })
      server = opening
      port = (opening.address() as AddressInfo).port
    },
    async close() {
      const closed = new Promise<void>((resolve) => server?.close(() => resolve()) ?? resolve())
      server = undefined
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function readQuestions(socket: Socket, bson: Bson, onQuestion: (question: Question) => void): void {
  socket.on('error', () => {})
  let bytes = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk])
    while (bytes.length >= HEADER && bytes.length >= bytes.readInt32LE(0)) {
      const length = bytes.readInt32LE(0)
      const question = questionIn(bytes.subarray(0, length), bson)
      bytes = bytes.subarray(length)
      if (question) onQuestion(question)
    }
  })
}

function refused(refusal: MongoRefusal | undefined): object | undefined {
  return refusal?.ok ? refusal : refusal && { ok: 0, errmsg: 'refused', codeName: 'Refused', ...refusal }
}

function answerTo(name: string, role: MongoRole, port: number): object {
  if (/^(?:hello|ismaster)$/i.test(name)) return hello(role, `127.0.0.1:${port}`)
  if (name === 'find' || name === 'aggregate')
    return { ok: 1, cursor: { firstBatch: [], id: 0n, ns: 'shop.afterspan' } }
  return name === 'saslStart' ? { ok: 1, conversationId: 1, done: true, payload: Buffer.alloc(0) } : { ok: 1, n: 1 }
}

function hello(role: MongoRole, address: string): object {
  const isPrimary = role !== 'secondary'
  const ofSet = { setName: 'rs0', setVersion: 1, hosts: [address], me: address }
  return {
    ok: 1,
    helloOk: true,
    ismaster: isPrimary,
    isWritablePrimary: isPrimary,
    ...(role === 'mongos' ? { msg: 'isdbgrid' } : {}),
    ...(role === 'primary' ? { ...ofSet, primary: address } : {}),
    ...(role === 'secondary' ? { ...ofSet, secondary: true } : {}),
    maxBsonObjectSize: 16_777_216,
    maxMessageSizeBytes: 48_000_000,
    maxWriteBatchSize: 100_000,
    logicalSessionTimeoutMinutes: 30,
    minWireVersion: 0,
    maxWireVersion: 21,
    connectionId: 1,
  }
}

/** A handshake may still be an OP_QUERY; of an OP_MSG the first section is the command, but for drivers that put documents before it. */
function questionIn(bytes: Buffer, bson: Bson): Question | undefined {
  const id = bytes.readInt32LE(4)
  const kind = bytes.readInt32LE(12)
  const document = (at: number): Record<string, unknown> =>
    bson.deserialize(bytes.subarray(at, at + bytes.readInt32LE(at)))
  if (kind === OP_QUERY) {
    const afterName = bytes.indexOf(0, HEADER + 4) + 1
    return { id, isMessage: false, command: document(afterName + 8) }
  }
  if (kind !== OP_MSG) return undefined
  let at = HEADER + 4
  while (bytes[at] === 1) at += 1 + bytes.readInt32LE(at + 1)
  return { id, isMessage: true, command: document(at + 1) }
}

function frame(to: number, isMessage: boolean, document: Uint8Array): Buffer {
  const between = Buffer.alloc(isMessage ? 5 : 20)
  if (!isMessage) between.writeInt32LE(1, 16)
  const head = Buffer.alloc(HEADER)
  head.writeInt32LE(HEADER + between.length + document.length, 0)
  head.writeInt32LE(to, 8)
  head.writeInt32LE(isMessage ? OP_MSG : OP_REPLY, 12)
  return Buffer.concat([head, between, document])
}
