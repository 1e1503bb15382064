// What a reader of the official SDK collects, without waiting: a process that ends has no later. There is no public way to it; what is
// used here is of the one version that is bundled, and tests see that it does what the reader does.
import { hrTime } from '@opentelemetry/core'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import type { HrTime, PushMetric, PushScope } from './push/metric-data.ts'

/** Callbacks of observable instruments are called; those that are asynchronous have said what they say later to nobody. */
export function collectAtOnce(reader: MetricReader): readonly PushScope[] {
  const time = hrTime()
  const collector = (reader as unknown as { readonly _sdkMetricProducer?: Collector })._sdkMetricProducer
  return Array.from(collector?._sharedState.meterSharedStates.values() ?? [], (meter) => {
    observe(meter.observableRegistry, time)
    const storages = meter.metricStorageRegistry.getStorages(collector!)
    const metrics = storages.flatMap((storage) => storage.collect(collector!, time) ?? [])
    return { scope: meter._instrumentationScope, metrics }
  })
}

interface Collector {
  readonly _sharedState: { readonly meterSharedStates: ReadonlyMap<string, MeterState> }
}
interface MeterState {
  readonly _instrumentationScope: PushScope['scope']
  readonly metricStorageRegistry: { getStorages(collector: Collector): readonly Storage[] }
  readonly observableRegistry: Observables
}
interface Storage {
  collect(collector: Collector, time: HrTime): PushMetric | undefined
  record(measurements: unknown, time: HrTime): void
}
interface Instrument {
  readonly _descriptor: { readonly name: string; readonly valueType: number }
  readonly _metricStorages: readonly Storage[]
}
interface Observables {
  readonly _callbacks: readonly { readonly callback: Callback; readonly instrument: Instrument }[]
  readonly _batchCallbacks: readonly { readonly callback: Callback; readonly instruments: ReadonlySet<Instrument> }[]
}
type Callback = (result: unknown) => Promise<void> | void

function observe({ _callbacks, _batchCallbacks }: Observables, time: HrTime): void {
  if (_callbacks.length + _batchCallbacks.length === 0) return
  const { One, Batch } = resultClasses()
  for (const { callback, instrument } of _callbacks) {
    const result = new One(instrument._descriptor.name, instrument._descriptor.valueType)
    call(callback, result)
    for (const storage of instrument._metricStorages) storage.record(result._buffer, time)
  }
  for (const { callback, instruments } of _batchCallbacks) {
    const result = new Batch()
    call(callback, result)
    for (const instrument of instruments) {
      const measured = result._buffer.get(instrument)
      if (measured !== undefined) for (const storage of instrument._metricStorages) storage.record(measured, time)
    }
  }
}

function call(callback: Callback, result: unknown): void {
  try {
    callback(result)?.catch(() => {})
  } catch {
    // costs only its own series
  }
}

interface ResultClasses {
  readonly One: new (name: string, valueType: number) => { readonly _buffer: unknown }
  readonly Batch: new () => { readonly _buffer: ReadonlyMap<Instrument, unknown> }
}

/** What callbacks are given. The SDK does not export the classes; a reader of nothing is shown them. */
function resultClasses(): ResultClasses {
  let one: unknown
  let batch: unknown
  const reader = new SilentReader()
  const meter = new MeterProvider({ readers: [reader] }).getMeter('')
  const gauge = meter.createObservableGauge('x')
  gauge.addCallback((result) => {
    one = result.constructor
  })
  meter.addBatchObservableCallback(
    (result) => {
      batch = result.constructor
    },
    [gauge],
  )
  void reader.collect()
  return { One: one as ResultClasses['One'], Batch: batch as ResultClasses['Batch'] }
}

class SilentReader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }
}
