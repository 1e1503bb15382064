// grpc.health.v1 on the servers that an app makes with @grpc/grpc-js: Check, List, and Watch, which tells each change.
import type { GrpcSource } from './grpc-serving.ts'
import {
  CHECK,
  decodeRequest,
  encodeList,
  encodeResponse,
  HEALTH_SERVICE,
  LIST,
  SERVING,
  WATCH,
  type Serving,
} from './grpc-wire.ts'

type Done = (error: { readonly code: number; readonly details: string } | null, value?: unknown) => void
interface Call {
  readonly request: { readonly service: string }
  readonly cancelled?: boolean
  emit(event: 'error', error: { readonly code: number; readonly details: string }): unknown
  end(): unknown
  on(event: 'cancelled' | 'close' | 'error', listener: () => void): unknown
  write(value: Serving): unknown
}
interface Handler {
  readonly func: (call: Call, done: Done) => void
  readonly serialize: (value: never) => Buffer
  readonly deserialize: (bytes: Uint8Array) => unknown
  readonly type: 'serverStream' | 'unary'
  readonly path: string
}
/** Of @grpc/grpc-js 1.4 on. */
export interface GrpcServer {
  /** Every way to add a service ends in it. */
  readonly handlers?: Map<string, Handler>
  tryShutdown(done: (error?: Error) => void): void
}
interface ServerPrototype {
  bindAsync: ((this: GrpcServer, ...args: unknown[]) => unknown) & { [SEEN]?: true }
  register(this: GrpcServer, path: string, ...rest: unknown[]): boolean
}

const SEEN = Symbol('afterspan.health')
const MOST_WATCHERS = 100
const NOT_FOUND = { code: 5, details: 'unknown service' }
const TOO_MANY = { code: 8, details: 'too many watch the health of this process' }
const ours = new WeakSet<Handler>()
const served = new WeakSet<GrpcServer>()
let watchers = 0

/** Each server of the app serves its health from the moment it is bound; a health service of the app's own goes before ours. */
export function serveOnAll(
  exports: { readonly Server?: { readonly prototype: ServerPrototype } },
  source: GrpcSource,
): void {
  const prototype = exports.Server?.prototype
  if (!prototype) throw new TypeError('this @grpc/grpc-js has no Server')
  const { bindAsync, register } = prototype
  if (bindAsync[SEEN]) return
  const bind: ServerPrototype['bindAsync'] = function (...args) {
    try {
      addHealth(this, source)
    } catch {
      // the app's server serves what the app gave it
    }
    return bindAsync.apply(this, args)
  }
  bind[SEEN] = true
  prototype.bindAsync = bind
  prototype.register = function (path, ...rest) {
    if (path.startsWith(`/${HEALTH_SERVICE}/`)) withdraw(this)
    return register.call(this, path, ...rest)
  }
}

/** Adds the service, unless the app serves one. Past the register() of the server: its handlers are nobody's spans. */
export function addHealth(server: GrpcServer, source: GrpcSource): void {
  const { handlers } = server
  if (!(handlers instanceof Map) || [CHECK, LIST, WATCH].some((path) => handlers.has(path))) return
  const services = (): ReadonlySet<string> => servicesOf(handlers)
  const check: Handler['func'] = ({ request }, done) => {
    const serving = source.serving(request.service, services())
    if (serving === undefined) done(NOT_FOUND)
    else done(null, serving)
  }
  const open = new Set<Call>()
  const watch: Handler['func'] = (call) =>
    follow(call, open, () => source.serving(call.request.service, services()), source)
  const list: Handler['func'] = (_call, done) => done(null, source.all(services()))
  // An object: grpc-js takes what is falsy for no message at all.
  const deserialize = (bytes: Uint8Array): Call['request'] => ({ service: decodeRequest(bytes) })
  const common = { deserialize, serialize: encodeResponse }
  for (const handler of [
    { ...common, path: CHECK, type: 'unary', func: check },
    { ...common, path: LIST, type: 'unary', func: list, serialize: encodeList },
    { ...common, path: WATCH, type: 'serverStream', func: watch },
  ] as Handler[]) {
    ours.add(handler)
    handlers.set(handler.path, handler)
  }
  if (!served.has(server)) letGoAtShutdown(server, open)
  served.add(server)
}

function withdraw({ handlers }: GrpcServer): void {
  for (const path of [CHECK, LIST, WATCH]) {
    const handler = handlers?.get(path)
    if (handler && ours.has(handler)) handlers!.delete(path)
  }
}

function servicesOf(handlers: ReadonlyMap<string, Handler>): Set<string> {
  const names = [...handlers.keys()].map((path) => /^\/([^/]+)\//.exec(path)?.[1])
  return new Set(names.filter((name) => name !== undefined))
}

/** The status at once, and each other one as it comes. */
function follow(call: Call, open: Set<Call>, serving: () => Serving | undefined, source: GrpcSource): void {
  if (watchers >= MOST_WATCHERS) {
    call.emit('error', TOO_MANY)
    return
  }
  let told: Serving | undefined
  const tell = (): void => {
    const now = serving() ?? SERVING.serviceUnknown
    if (now === told || call.cancelled) return
    told = now
    call.write(now)
  }
  const leave = source.onChange(tell)
  watchers++
  open.add(call)
  const end = (): void => {
    if (!open.delete(call)) return
    watchers--
    leave()
  }
  for (const event of ['cancelled', 'close', 'error'] as const) call.on(event, end)
  tell()
}

/** A watcher never leaves by himself, and tryShutdown() waits for every call. */
function letGoAtShutdown(server: GrpcServer, open: ReadonlySet<Call>): void {
  const { tryShutdown } = server
  server.tryShutdown = function (done) {
    try {
      for (const call of open) {
        call.write(SERVING.notServing)
        call.end()
      }
    } catch {
      // the app's server goes down all the same
    }
    return tryShutdown.call(this, done)
  }
}
