// What grpc.health.v1 says of this process: the words of /readyz, by the names of services.
import type { ProbeStatus } from '@afterspan/core/internal'
import { SERVING, type Serving } from './grpc-wire.ts'
import type { HealthSnapshot } from './snapshot.ts'
import { groupOf, judge } from './verdict.ts'

/** What the gRPC servers of the app answer from. */
export interface GrpcSource {
  /** Of '' and of the server's own services: the process. Of a check or a group: its own. Undefined: there is no such. */
  serving(name: string, services: ReadonlySet<string>): Serving | undefined
  /** Everything that has a status, by its name. */
  all(services: ReadonlySet<string>): Map<string, Serving>
  /** Called when something may have changed, until what is returned is called. */
  onChange(listener: () => void): () => void
}

export interface GrpcServing extends GrpcSource {
  /** There is a new snapshot. */
  tell(): void
}

export function createGrpcServing(snapshot: () => HealthSnapshot, onError: (error: unknown) => void): GrpcServing {
  const listeners = new Set<() => void>()
  return {
    serving: (name, services) => servingOf(snapshot(), name, services),
    all(services) {
      const its = snapshot()
      const groups = its.checks.flatMap((check) => check.groups ?? [])
      const names = new Set(['', ...services, ...groups, ...its.checks.map(({ name }) => name)])
      return new Map([...names].map((name) => [name, servingOf(its, name, services) ?? SERVING.unknown]))
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    tell() {
      for (const listener of listeners)
        try {
          listener()
        } catch (error) {
          onError(error)
        }
    },
  }
}

/** Pure. */
export function servingOf(snapshot: HealthSnapshot, name: string, services: ReadonlySet<string>): Serving | undefined {
  const whole = judge('readyz', snapshot)
  if (name === '' || services.has(name)) return asServing(whole.ok)
  const group = groupOf(snapshot, name)
  const check = whole.checks.find(({ state }) => state.name === name)
  if (!group && !check) return undefined
  // Whoever leaves or has not begun serves nothing, however well its servers are.
  if (whole.code) return SERVING.notServing
  return asServing(check ? isWell(check.status, check.state.required) : judge('readyz', group).ok)
}

/** What is not known yet fails where it is required. */
function isWell(status: ProbeStatus | undefined, isRequired: boolean): boolean {
  return status === undefined ? !isRequired : status !== 'fail'
}

function asServing(isWellNow: boolean): Serving {
  return isWellNow ? SERVING.serving : SERVING.notServing
}
