import type { MetricFamily } from '../contracts/service.ts'

/** Afterspan's own instruments: label values by position, no allocation on a known series, bounded cardinality. */
export interface Counter { add(value: number, ...labels: readonly string[]): void }
export interface Gauge { set(value: number, ...labels: readonly string[]): void; remove(...labels: readonly string[]): void }
export interface Histogram { record(value: number, ...labels: readonly string[]): void }
export interface MetricRegistry {
  /** `name` without `_total`. Series named in `born` exist from the start at 0. */
  counter(name: string, help: string, labels?: readonly string[], born?: readonly (readonly string[])[]): Counter
  gauge(name: string, help: string, labels?: readonly string[], unit?: string): Gauge
  /** `bounds` ascending, without +Inf. */
  histogram(name: string, help: string, unit: string, bounds: readonly number[], labels?: readonly string[]): Histogram
  /** Called at each collection; a throw costs only its own families. */
  callback(collect: () => readonly MetricFamily[]): void
  collect(): Promise<readonly MetricFamily[]>
}
