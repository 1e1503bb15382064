// What several members say, as one. Pure.
import type { Across, MetricFamily, MetricSample } from '../../contracts/service.ts'
import { withoutExemplars } from '../exemplars.ts'
import { addHistograms, keyOf } from '../merge.ts'

export interface Member {
  readonly pid: number
  readonly threadId: number
  readonly families: readonly MetricFamily[]
}

/** Counters and histograms alone: what must not go backwards when a member is gone. */
export type Totals = readonly MetricFamily[]

type Sample = MetricFamily['samples'][number]

/**
 * Counters and histograms are added, those of members that are gone included. A gauge stands once for each member, with its
 * process_pid (and thread_id in a worker thread), unless it says that it is to be added or is one. Of an info only what all say stands.
 */
export function joinFamilies(members: readonly Member[], gone: readonly Totals[]): MetricFamily[] {
  const joined = new Joined()
  for (const { families, pid, threadId } of members)
    for (const family of families) {
      const across = acrossOf(family)
      if (family.type === 'info') joined.keepCommon(family)
      else if (across === 'each') joined.put(withMember(family, pid, threadId))
      else joined.put(family)
    }
  for (const totals of gone) for (const family of totals) joined.put(family)
  return joined.families()
}

/** What must be remembered of a member. */
export function totalsOf(families: readonly MetricFamily[]): Totals {
  return families.filter(({ type }) => type === 'counter' || type === 'histogram').map(withoutExemplars)
}

/** Several totals as one, at most `most` series of each family. */
export function addTotals(all: readonly Totals[], most = 2_000): Totals {
  return joinFamilies([], all).map((family) => ({ ...family, samples: family.samples.slice(0, most) }) as MetricFamily)
}

/** The newer totals, and of the older ones what the newer do not know. */
export function overlay(older: Totals, newer: Totals): Totals {
  const known = new Set(newer.map(identity))
  return [...newer, ...older.filter((family) => !known.has(identity(family)))]
}

function acrossOf({ across, type }: MetricFamily): Across {
  return across ?? (type === 'gauge' ? 'each' : 'sum')
}

function identity(family: MetricFamily): string {
  return `${family.type} ${acrossOf(family)} ${family.unit ?? ''} ${family.name}`
}

class Joined {
  readonly #all = new Map<string, { family: MetricFamily; samples: Map<string, Sample> }>()

  put(family: MetricFamily): void {
    const { samples } = this.#entry(family)
    const across = acrossOf(family)
    for (const sample of family.samples) {
      const key = keyOf(sample.labels)
      const before = samples.get(key)
      samples.set(key, before ? combined(before, sample, family.type, across) : sample)
    }
  }

  keepCommon(family: MetricFamily): void {
    const { samples } = this.#entry(family)
    const [next] = family.samples as readonly MetricSample[]
    if (!next) return
    const before = samples.get('') as MetricSample | undefined
    const labels = Object.entries(next.labels).filter(([name, value]) => !before || before.labels[name] === value)
    samples.set('', { labels: Object.fromEntries(labels), value: next.value })
  }

  families(): MetricFamily[] {
    return [...this.#all.values()].map(
      ({ family, samples }) => ({ ...family, samples: [...samples.values()] }) as MetricFamily,
    )
  }

  #entry(family: MetricFamily): { family: MetricFamily; samples: Map<string, Sample> } {
    const key = identity(family)
    let entry = this.#all.get(key)
    if (!entry) this.#all.set(key, (entry = { family, samples: new Map() }))
    return entry
  }
}

function combined(a: Sample, b: Sample, type: MetricFamily['type'], across: Across): Sample {
  // Of other bounds: one version of the app beside another. The first stands.
  if ('counts' in a || 'counts' in b) return 'counts' in a && 'counts' in b ? (addHistograms(a, b) ?? a) : a
  if (across === 'each') return b
  const value = across === 'one' ? Math.max(a.value, b.value) : a.value + b.value
  const exemplar =
    type !== 'counter' ? undefined : a.exemplar && !((b.exemplar?.at ?? 0) > a.exemplar.at) ? a.exemplar : b.exemplar
  return { labels: a.labels, value, ...(exemplar ? { exemplar } : {}) }
}

function withMember(family: MetricFamily, pid: number, threadId: number): MetricFamily {
  const own = { process_pid: String(pid), ...(threadId === 0 ? {} : { thread_id: String(threadId) }) }
  const samples = family.samples.map((sample) => ({ ...sample, labels: { ...sample.labels, ...own } }))
  return { ...family, samples } as MetricFamily
}
