import type { Clock, ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { SERVING } from '../grpc-wire.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { scrub } from '../scrub.ts'
import { check, GrpcCalls, isFailing, isShutDown, type Asked, type GrpcClient, type GrpcError } from './grpc-client.ts'

type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown
type Constructor = new (...args: never[]) => GrpcClient
type Observed = NonNullable<ProbeResult['observed']>

const MOST_TARGETS = 20
const MOST_CLIENTS = 100
const MOST_SERVICES = 5
/** A server that does not know the protocol is asked so often whether it still answers. */
const ASK_AGAIN_MS = 10_000
/** For so long the app's last call, if it failed, speaks for such a server. */
const BAD_FOR_MS = 30_000
const OWN_FRAMES = /[\\/]node_modules[\\/]@grpc[\\/][a-z-]+[\\/]/
/** Exporters of telemetry are no dependency of the app. */
const TELEMETRY = /^@opentelemetry[\\/]/
const NOT_FOUND = 5
/** The server answers, and does not say how it is: UNIMPLEMENTED, or not to this client. */
const SAYS_NOTHING: ReadonlySet<number | undefined> = new Set([NOT_FOUND, 7, 12, 16])
const NAMES = (
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED ' +
  'FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED'
).split(' ')

/** The clients of one address. */
interface Target {
  readonly members: Set<WeakRef<GrpcClient>>
  /** What its clients speak, by the names that the health service uses. */
  readonly services: Set<string>
  /** Those that its server says nothing of. */
  readonly unknown: Set<string>
  readonly calls: GrpcCalls
  /** The server answered, and does not say how it is. */
  silentAt: number | undefined
}

/**
 * Makes the clients of each address one probe. The base class of all clients is stood in for by a Proxy, from which generated clients then are
 * derived: a channel is READY while its server answers UNAVAILABLE or nothing, so it is asked over.
 */
export function grpcHook(add: Add, clock: Pick<Clock, 'monotonicMs'>, onRejected: (why: string) => void): ModuleHook {
  const targets = new Map<string, Target>()
  const stands = new WeakMap<object, Constructor>()
  const now = (): number => clock.monotonicMs()

  const onMade = (client: GrpcClient, boundary: (...args: never[]) => unknown): void => {
    const by = madeBy(boundary, OWN_FRAMES)
    if (by.kind === 'library' || (by.kind === 'app' && TELEMETRY.test(by.through ?? by.at))) return
    for (const [key, old] of targets) if (living(old).length === 0) targets.delete(key)
    const key = client.getChannel().getTarget()
    let target = targets.get(key)
    if (!target) {
      if (targets.size >= MOST_TARGETS) return onRejected(`there are gRPC clients of ${MOST_TARGETS} addresses already`)
      target = {
        members: new Set(),
        services: new Set(),
        unknown: new Set(),
        calls: new GrpcCalls(now),
        silentAt: undefined,
      }
      targets.set(key, target)
      join(target, client)
      add(grpcProbe(target, now), by.at)
    } else join(target, client)
  }

  return {
    name: '@grpc/grpc-js (health)',
    module: '@grpc/grpc-js',
    files: ['build/src/client.js'],
    versions: '>=1.4.0 <2',
    patch(exports: { Client?: Constructor }) {
      const { Client } = exports
      if (typeof Client !== 'function') throw new TypeError('this @grpc/grpc-js has no Client')
      const stand = stands.get(Client) ?? standIn(Client, onMade)
      stands.set(Client, stand)
      stands.set(stand, stand)
      exports.Client = stand
    },
  }
}

function standIn(
  Client: Constructor,
  made: (client: GrpcClient, boundary: (...args: never[]) => unknown) => void,
): Constructor {
  const construct = (target: Constructor, args: unknown[], newTarget: NewableFunction): object => {
    const client = Reflect.construct(target, args, newTarget) as GrpcClient
    try {
      made(client, construct)
    } catch {
      // the app gets its client, whatever becomes of the probe
    }
    return client
  }
  return new Proxy(Client, { construct })
}

function join(target: Target, client: GrpcClient): void {
  if (target.members.size < MOST_CLIENTS) target.members.add(new WeakRef(client))
  const service = serviceOf(client)
  if (service !== undefined && target.services.size < MOST_SERVICES) target.services.add(service)
  if (target.silentAt !== undefined) target.calls.follow(client.getChannel())
}

/** Of a generated client. */
function serviceOf(client: GrpcClient): string | undefined {
  const { service } = client.constructor as { service?: Readonly<Record<string, { readonly path?: unknown }>> }
  const path = service && Object.values(service)[0]?.path
  return typeof path === 'string' ? /^\/([\w.]{1,200})\//.exec(path)?.[1] : undefined
}

function living(target: Target): GrpcClient[] {
  const found: GrpcClient[] = []
  for (const ref of target.members) {
    const client = ref.deref()
    if (client && !isShutDown(client)) found.push(client)
    else target.members.delete(ref)
  }
  return found
}

function grpcProbe(target: Target, now: () => number): FoundProbe {
  return {
    name: 'grpc',
    component: 'grpc',
    criticality: 'required',
    isGone: () => living(target).length === 0,
    check: (signal) => checkTarget(target, signal, now),
  }
}

async function checkTarget(target: Target, signal: AbortSignal, now: () => number): Promise<ProbeResult> {
  const clients = living(target)
  const client = clients[0]
  if (!client) return { status: 'pass' }
  const observed: Observed = { clients: { value: clients.length, unit: 'count' } }
  const { calls, silentAt } = target
  const isQuiet = silentAt !== undefined && now() - silentAt < ASK_AGAIN_MS && calls.badAt <= silentAt
  if (isQuiet && !isFailing(client) && !calls.isBad(BAD_FOR_MS))
    return { status: 'pass', observed: { ...observed, checked: { value: 'calls' } } }
  const questions = [...target.services].filter((service) => !target.unknown.has(service))
  let asked = await Promise.all((questions.length > 0 ? questions : ['']).map((name) => check(client, name, signal)))
  if (questions.length > 0 && asked.every(isNotFound)) {
    // The server knows the protocol, and tells of itself as a whole alone.
    for (const name of questions) target.unknown.add(name)
    asked = [await check(client, '', signal)]
  }
  if (asked.every(saysNothing)) return byCalls(target, clients, observed, now)
  target.silentAt = undefined
  const results = asked.filter((each) => !saysNothing(each)).map((each) => judge(each, observed))
  return (
    results.find(({ status }) => status === 'fail') ?? results.find(({ status }) => status === 'warn') ?? results[0]!
  )
}

/** The server answers, but not how it is: then what the app's own calls come to. They are followed from the first time on. */
function byCalls(target: Target, clients: readonly GrpcClient[], observed: Observed, now: () => number): ProbeResult {
  target.silentAt = now()
  for (const client of clients) target.calls.follow(client.getChannel())
  const known = { ...observed, checked: { value: 'calls' } }
  if (!target.calls.isBad(BAD_FOR_MS)) return { status: 'pass', observed: known }
  return sick(codeOf(target.calls.badCode), 'the calls of the app itself fail', known)
}

function judge(asked: Asked, observed: Observed): ProbeResult {
  if (asked.kind === 'late') return sick('timeout', 'the server did not answer within the deadline', observed)
  if (asked.kind === 'refused')
    return sick(refusalCode(asked.error), scrub(asked.error.details ?? 'the call failed'), observed)
  if (asked.serving === SERVING.serving) return { status: 'pass', observed }
  if (asked.serving === SERVING.notServing)
    return sick('NOT_SERVING', 'the server says that it does not serve', observed)
  return {
    status: 'warn',
    code: 'UNKNOWN',
    cause: 'dependency',
    reason: 'the server does not know whether it serves',
    observed,
  }
}

function isNotFound(asked: Asked): boolean {
  return asked.kind === 'refused' && asked.error.code === NOT_FOUND
}

function saysNothing(asked: Asked): boolean {
  return asked.kind === 'refused' && SAYS_NOTHING.has(asked.error.code)
}

/** Why there is no connection is in its words alone. */
function refusalCode({ code, details = '' }: GrpcError): string {
  if (code !== 14) return codeOf(code)
  if (/certificate has expired/i.test(details)) return 'certificate_expired'
  return /ERR_TLS_|ERR_SSL_|certificate|self[- ]signed/i.test(details) ? 'tls' : codeOf(code)
}

function codeOf(code: GrpcError['code']): string {
  return code === 4 ? 'timeout' : (NAMES[code ?? 2] ?? 'UNKNOWN')
}

function sick(code: string, reason: string, observed: Observed): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason, observed }
}
