import type { MetricFamily } from '../contracts/service.ts'

export type InstrumentationState = 'active' | 'failed' | 'loaded_too_early' | 'no_hook' | 'unsupported'
interface Row {
  readonly module: string
  readonly version: string
  readonly state: InstrumentationState
}

/** "Why do I see no spans": one row for each module that something of ours wanted to see. */
export function createInstrumentationStatus(): {
  set(name: string, module: string, version: string, state: InstrumentationState): void
  rows(): readonly Row[]
  collect(): readonly MetricFamily[]
} {
  const rows = new Map<string, Row>()
  return {
    set(name, module, version, state) {
      if (rows.size < 500)
        rows.set(`${name} ${version}`, { module: name === module ? module : `${module} (${name})`, version, state })
    },
    rows: () => [...rows.values()],
    collect: () => [
      {
        name: 'afterspan_instrumentation',
        type: 'gauge',
        across: 'one',
        help: 'Modules that Afterspan looks at, by what came of it.',
        samples: [...rows.values()].map((row) => ({ labels: { ...row }, value: 1 })),
      },
    ],
  }
}
