// Exemplars of the app's own counters and histograms, which the official SDK does not keep: what each instrument has last measured
// within a sampled trace. Remembered in place, so that a measurement costs next to nothing; whose it is, is found when it is told.
import { context as contexts, trace, TraceFlags, type Attributes, type Context } from '@opentelemetry/api'
import type { Exemplar } from '../contracts/service.ts'
import type { EpochMs } from '../contracts/task.ts'
import { keyOf } from './merge.ts'

/** Of one instrument. */
const PLACES = 64

type Measure = (value: unknown, attributes?: unknown, context?: unknown) => void
type Labels = Readonly<Record<string, string>>
interface Measured {
  value: number
  attributes: Attributes | undefined
  traceId: string
  spanId: string
  at: number
}
/** Of a histogram, values of a like size share a place, so that the many do not push out the few. A counter's take turns. */
export type Kind = 'counter' | 'histogram'
/** Whose instrument it is: the scope of its meter. */
interface Scope {
  readonly name: string
  readonly version?: string | undefined
}

export interface LastMeasured {
  /** To be called with what the app measures. May throw what the app's own values throw. */
  watch(scope: Scope, kind: Kind, instrument: string): Measure
  /** The exemplars of one instrument, the newest first, by the labels that `toLabels` makes of attributes; undefined: it has none. */
  exemplars(
    scope: Scope,
    instrument: string,
    toLabels: (attributes: Attributes) => Labels,
  ): ((labels: Labels) => readonly Exemplar[]) | undefined
}

export function createLastMeasured(): LastMeasured {
  const places = new Map<string, (Measured | undefined)[]>()
  return {
    watch(scope, kind, instrument) {
      const id = idOf(scope, instrument)
      const own = places.get(id) ?? []
      places.set(id, own)
      let turn = 0
      return (value, attributes, context = contexts.active()) => {
        if (typeof value !== 'number' || !(value >= 0)) return
        const span = trace.getSpanContext(context as Context)
        if (!span || !(span.traceFlags & TraceFlags.SAMPLED)) return
        const { traceId, spanId } = span
        const place = kind === 'histogram' ? placeOf(value) : turn++ % PLACES
        const measured = { value, attributes: attributes as Attributes | undefined, traceId, spanId, at: Date.now() }
        own[place] = Object.assign(own[place] ?? {}, measured)
      }
    },
    exemplars(scope, instrument, toLabels) {
      const measured = places.get(idOf(scope, instrument))?.filter((place) => place !== undefined) ?? []
      if (measured.length === 0) return undefined
      const bySeries = Map.groupBy(
        measured.toSorted((a, b) => b.at - a.at),
        ({ attributes = {} }) => keyOf(toLabels(attributes)),
      )
      return (labels) => (bySeries.get(keyOf(labels)) ?? []).map(exemplarOf)
    },
  }
}

/** As the SDK tells instruments apart: by name in any case. */
function idOf({ name, version = '' }: Scope, instrument: string): string {
  return JSON.stringify([name, version, instrument.toLowerCase()])
}

function placeOf(value: number): number {
  if (!(value > 0) || value === Infinity) return 0
  return (Math.floor(Math.log2(value) * 2) + 40 * PLACES) % PLACES
}

function exemplarOf({ value, traceId, spanId, at }: Measured): Exemplar {
  return { labels: { trace_id: traceId, span_id: spanId }, value, at: at as EpochMs }
}
