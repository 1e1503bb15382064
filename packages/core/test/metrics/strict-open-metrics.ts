// A strict reader of OpenMetrics 1.0.0, written from its ABNF and its "must" sentences, not from our renderer.

export interface ReadFamily {
  readonly name: string
  readonly type: string
  readonly samples: readonly ReadSample[]
}
export interface ReadSample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
  readonly exemplar?: { readonly labels: ReadonlyMap<string, string>; readonly value: number }
}

const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total', '_created'],
  gauge: [''],
  histogram: ['_bucket', '_count', '_sum', '_created'],
  info: ['_info'],
}
const NUMBER = String.raw`[+-]?(?:Inf|NaN|(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)`
const LABELS = String.raw`\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"(?:,(?!\}))?)*\}`
const SAMPLE = new RegExp(
  String.raw`^([a-zA-Z_:][a-zA-Z0-9_:]*)(${LABELS})? (${NUMBER})(?: # (${LABELS}) (${NUMBER})(?: \d+(?:\.\d+)?)?)?$`,
  'i',
)

/** Throws with the line that is wrong. */
export function readOpenMetrics(text: string): ReadFamily[] {
  if (!text.endsWith('\n# EOF\n') && text !== '# EOF\n') throw new Error('does not end with # EOF')
  const families: { name: string; type: string; samples: ReadSample[]; seen: Set<string> }[] = []
  const taken = new Set<string>()
  for (const line of text.slice(0, -'# EOF\n'.length).split('\n').slice(0, -1)) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line}`)
    }
    const comment = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line)
    const last = families.at(-1)
    if (comment) {
      const [, keyword, name = '', rest = ''] = comment
      if (keyword === 'HELP') {
        if (!/^(?:[^\\"]|\\[\\n"])*$/.test(rest)) fail('bad escape')
        families.push({ name, type: '', samples: [], seen: new Set() })
      } else if (last?.name !== name || last.samples.length > 0) fail('metadata out of place')
      else if (keyword === 'TYPE') {
        if (!(rest in SUFFIXES)) fail('unknown type')
        last!.type = rest
        for (const suffix of new Set(['', ...SUFFIXES[rest]!])) {
          if (taken.has(name + suffix)) fail(`the name ${name}${suffix} is taken`)
          taken.add(name + suffix)
        }
      } else if (!name.endsWith(`_${rest}`)) fail('the name does not end in its unit')
      continue
    }
    const [, name = '', labels, value = '', exemplarLabels, exemplarValue] = SAMPLE.exec(line) ?? fail('not a sample')
    if (!last || !SUFFIXES[last.type]?.some((suffix) => name === last.name + suffix)) fail('not of this family')
    const sample: ReadSample = {
      name,
      labels: readLabels(labels, fail),
      value: numeric(value),
      ...(exemplarLabels === undefined
        ? {}
        : { exemplar: { labels: readLabels(exemplarLabels, fail), value: numeric(exemplarValue!) } }),
    }
    const key = `${name} ${inOrder(sample.labels)}`
    if (last!.seen.has(key)) fail('the series is there twice')
    last!.seen.add(key)
    if (last!.type !== 'gauge' && !(sample.value >= 0)) fail('a counter is below 0, or NaN')
    if (sample.exemplar && !/_(bucket|total)$/.test(name)) fail('an exemplar out of place')
    last!.samples.push(sample)
  }
  for (const family of families) if (family.type === 'histogram') checkHistograms(family)
  return families
}

function readLabels(text: string | undefined, fail: (why: string) => never): Map<string, string> {
  const labels = new Map<string, string>()
  for (const [, name = '', value = ''] of (text ?? '').matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)) {
    if (labels.has(name)) fail(`the label ${name} is there twice`)
    if (name.startsWith('__')) fail(`the label ${name} is reserved`)
    labels.set(
      name,
      value.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c)),
    )
  }
  return labels
}

function numeric(text: string): number {
  return Number(text.replace(/^([+-]?)Inf$/i, '$1Infinity'))
}

function checkHistograms({ name, samples }: ReadFamily): void {
  const buckets = new Map<string, ReadSample[]>()
  const counts = new Map<string, number>()
  for (const sample of samples) {
    const rest = inOrder(sample.labels, 'le')
    if (sample.name.endsWith('_bucket')) buckets.set(rest, [...(buckets.get(rest) ?? []), sample])
    if (sample.name.endsWith('_count')) counts.set(rest, sample.value)
  }
  for (const [rest, all] of buckets) {
    const le = all.map((sample) => numeric(sample.labels.get('le') ?? 'NaN'))
    if (le.at(-1) !== Infinity) throw new Error(`${name}${rest}: no +Inf bucket`)
    if (le.some((bound, i) => i > 0 && !(bound > le[i - 1]!))) throw new Error(`${name}${rest}: bounds do not ascend`)
    if (all.some((sample, i) => i > 0 && sample.value < all[i - 1]!.value))
      throw new Error(`${name}${rest}: buckets are not cumulative`)
    const count = counts.get(rest)
    if (count !== undefined && count !== all.at(-1)!.value)
      throw new Error(`${name}${rest}: the count is not the +Inf bucket`)
    if (count !== undefined && le[0]! < 0) throw new Error(`${name}${rest}: a sum beside a bucket below 0`)
  }
}

function inOrder(labels: ReadonlyMap<string, string>, but?: string): string {
  const rows = [...labels].filter(([name]) => name !== but)
  return JSON.stringify(rows.sort(([a], [b]) => (a < b ? -1 : 1)))
}
