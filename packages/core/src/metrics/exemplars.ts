import type { MetricFamily } from '../contracts/service.ts'

type Sample = MetricFamily['samples'][number]

export function withoutExemplars(family: MetricFamily): MetricFamily {
  const samples = (family.samples as readonly (Sample & { exemplar?: unknown; exemplars?: unknown })[]).map(
    ({ exemplar: _one, exemplars: _all, ...rest }) => rest,
  )
  return { ...family, samples } as unknown as MetricFamily
}
