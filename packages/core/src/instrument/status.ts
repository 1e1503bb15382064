import type { MetricFamily } from '../contracts/service.ts'

export type InstrumentationState = 'active' | 'failed' | 'loaded_too_early' | 'no_hook' | 'unsupported'
export interface InstrumentationRow {
  readonly module: string
  /** '' where it is not known: the module was asked for, and nothing more is known of it. */
  readonly version: string
  readonly state: InstrumentationState
  /** What would be supported, where it is not. */
  readonly range?: string
}

/** "Why do I see no spans": one row for each module that something of ours wanted to see. */
export function createInstrumentationStatus(): {
  set(name: string, module: string, version: string, state: InstrumentationState, range?: string): void
  rows(): readonly InstrumentationRow[]
  collect(): readonly MetricFamily[]
} {
  const rows = new Map<string, InstrumentationRow>()
  return {
    set(name, module, version, state, range) {
      const shown = name === module || name.startsWith(`${module} (`) ? name : `${module} (${name})`
      if (version) rows.delete(`${shown} `)
      if (rows.size < 500)
        rows.set(`${shown} ${version}`, { module: shown, version, state, ...(range ? { range } : {}) })
    },
    rows: () => [...rows.values()],
    collect: () => [
      {
        name: 'afterspan_instrumentation',
        type: 'gauge',
        across: 'one',
        help: 'Modules that Afterspan looks at, by what came of it.',
        samples: [...rows.values()].map(({ module, version, state }) => ({
          labels: { module, version, state },
          value: 1,
        })),
      },
    ],
  }
}
