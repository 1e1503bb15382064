// What a dependency that all instances share does to the readiness of each. See docs/decisions/health-fleet.md.
import { NotAllowed, type Option } from '@afterspan/core/internal'
import type { CheckState } from './snapshot.ts'

/** closed: an instance that cannot reach it is not ready. open: it warns, and stays in the load balancer. quorum: open where most instances cannot reach it. */
export type SharedPolicy = 'closed' | 'open' | 'quorum'

export interface SharedPolicies {
  readonly others: SharedPolicy
  /** By the name of a check, or by the kind of its server. */
  readonly named: Readonly<Record<string, SharedPolicy>>
}

const ALLOWED = 'closed, open or quorum, and such as name=open for single ones, with commas between them'
const POLICIES: readonly string[] = ['closed', 'open', 'quorum'] satisfies SharedPolicy[]

/** `open,orders-db=closed`: a word for all, pairs for one check or one kind of server. */
export function sharedPolicies(env: string, doc: string): Option<SharedPolicies> {
  return {
    env,
    doc,
    fallback: { others: 'closed', named: {} },
    parse(raw) {
      let others: SharedPolicy | undefined
      const named: Record<string, SharedPolicy> = Object.create(null)
      for (const part of raw.split(',').map((word) => word.trim())) {
        if (part === '') continue
        const at = part.lastIndexOf('=')
        const policy = part.slice(at + 1).trim() as SharedPolicy
        if (!POLICIES.includes(policy)) throw new NotAllowed(ALLOWED)
        if (at > 0) named[part.slice(0, at).trim()] = policy
        else if (at === 0 || others !== undefined) throw new NotAllowed(ALLOWED)
        else others = policy
      }
      return { others: others ?? 'closed', named }
    },
  }
}

export function policyOf({ others, named }: SharedPolicies, name: string, component: string): SharedPolicy {
  return named[name] ?? named[component] ?? others
}

/** Whether anything is put to the vote. */
export function hasQuorum({ others, named }: SharedPolicies): boolean {
  return others === 'quorum' || Object.values(named).includes('quorum')
}

/**
 * Whether the trouble lies with what all instances share, as far as one of them can tell. A pool that leaks, a wedged client, the
 * process itself are its own: they take it out under every policy.
 */
export function isOfTheDependency({ cause, component }: Pick<CheckState, 'cause' | 'component'>): boolean {
  return cause === undefined ? component !== 'system' && component !== 'ledger' : cause === 'dependency'
}
