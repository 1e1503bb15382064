import type { Exemplar } from '../../contracts/service.ts'
import type { HrTime, PointExemplar } from './metric-data.ts'

/** With deltas, those of this time alone. */
export function exemplarsOf(
  exemplars: readonly (Exemplar | undefined)[],
  since: HrTime,
  isDelta: boolean,
): readonly PointExemplar[] {
  return exemplars.flatMap((exemplar) => {
    const { trace_id: traceId, span_id: spanId } = exemplar?.labels ?? {}
    if (!exemplar || !traceId || !spanId) return []
    const time = hrTime(exemplar.at)
    if (isDelta && (time[0] < since[0] || (time[0] === since[0] && time[1] < since[1]))) return []
    return [{ time, value: exemplar.value, traceId, spanId }]
  })
}

export function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)]
}
