import { globalState, type HealthProbe } from '@afterspan/core/internal'
import { registerProbe } from './register-probe.ts'

const MOST_GROUPS = 50
const MOST_MEMBERS = 100

/** Checks that are asked together: GET /readyz/<name> and /health/<name> judge these alone. */
export interface HealthGroup {
  readonly name: string
  /** registerProbe(), and the check belongs to the group. */
  registerProbe(probe: HealthProbe): () => void
}

/**
 * Names a group and the checks in it, also such as were found without code ('postgresql', 'redis'); called again it adds to them.
 * `checks` are names as /health shows them; one that is not there (yet) counts for nothing. A check is in as many groups as name it.
 */
export function group(name: string, checks: readonly string[] = []): HealthGroup {
  const groups = (globalState().healthGroups ??= new Map<string, Set<string>>())
  const members = groups.get(name) ?? new Set()
  if (groups.size < MOST_GROUPS) groups.set(name, members)
  for (const check of checks) if (members.size < MOST_MEMBERS) members.add(check)
  return {
    name,
    registerProbe: (probe) => registerProbe(inGroup(probe, name)),
  }
}

/** The same probe in the same group is the same registration. */
const inGroups = new WeakMap<HealthProbe, Map<string, HealthProbe>>()

/** The probe with one group more. Its check is called on the probe itself: it may be an instance of a class. */
function inGroup(probe: HealthProbe, name: string): HealthProbe {
  const known = inGroups.get(probe) ?? new Map<string, HealthProbe>()
  inGroups.set(probe, known)
  let made = known.get(name)
  if (!made) {
    made = { ...settingsOf(probe), groups: [...(probe.groups ?? []), name], check: (signal) => probe.check(signal) }
    known.set(name, made)
  }
  return made
}

function settingsOf(probe: HealthProbe): HealthProbe {
  const { name, component, criticality, timeoutMs, intervalMs, rise, fall, check } = probe
  return {
    name,
    component,
    ...(criticality ? { criticality } : {}),
    check,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(intervalMs === undefined ? {} : { intervalMs }),
    ...(rise === undefined ? {} : { rise }),
    ...(fall === undefined ? {} : { fall }),
  }
}
