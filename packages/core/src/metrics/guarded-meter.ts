// A meter whose instruments never throw into the app, and whose callbacks cost only their own series.
import {
  createNoopMeter,
  type BatchObservableCallback,
  type Meter,
  type MetricOptions,
  type Observable,
  type ObservableCallback,
  type ObservableCounter,
  type ObservableGauge,
  type ObservableUpDownCounter,
} from '@opentelemetry/api'

/** A scrape waits no longer for one callback. */
const CALLBACK_MS = 400

/** What is wrong with the app's own metrics, by reason. */
export type OnTrouble = (reason: 'callback_failed' | 'callback_hangs' | 'refused', why: unknown) => void

type Guarded<C> = WeakMap<object, C>

interface Guards {
  readonly onTrouble: OnTrouble
  /** Hears of what counters and histograms measure. */
  readonly watch?: (kind: 'counter' | 'histogram', name: string) => Watcher
}
type Watcher = (value: unknown, ...rest: unknown[]) => void

export function guardedMeter(make: () => Meter, { onTrouble, watch }: Guards): Meter {
  let made: Meter | undefined
  const meter = (): Meter => (made ??= make())
  const batches: Guarded<BatchObservableCallback> = new WeakMap()
  const observed = <O extends ObservableCounter | ObservableGauge | ObservableUpDownCounter>(instrument: O): O =>
    guardObservable(instrument, onTrouble)
  /** Where the SDK cannot make it, it is one that does nothing. */
  const create = <K extends Creating>(method: K, name: unknown, options: unknown): ReturnType<Meter[K]> => {
    const args = [nameOf(name), plain(options)] as const
    try {
      return meter()[method](...args) as ReturnType<Meter[K]>
    } catch (error) {
      onTrouble('refused', error)
      return createNoopMeter()[method](...args) as ReturnType<Meter[K]>
    }
  }
  return {
    createCounter(name, options) {
      const watcher = watch?.('counter', nameOf(name))
      return guardWrites(create('createCounter', name, options), 'add', { onTrouble, watcher })
    },
    createGauge: (name, options) =>
      guardWrites(create('createGauge', name, options), 'record', { onTrouble, mayBeNaN: true }),
    createHistogram(name, options) {
      const watcher = watch?.('histogram', nameOf(name))
      return guardWrites(create('createHistogram', name, options), 'record', { onTrouble, watcher })
    },
    createUpDownCounter: (name, options) =>
      guardWrites(create('createUpDownCounter', name, options), 'add', { onTrouble }),
    createObservableCounter: (name, options) => observed(create('createObservableCounter', name, options)),
    createObservableGauge: (name, options) => observed(create('createObservableGauge', name, options)),
    createObservableUpDownCounter: (name, options) => observed(create('createObservableUpDownCounter', name, options)),
    addBatchObservableCallback(callback, observables) {
      if (!isCallback(callback, onTrouble)) return
      const guarded = batches.get(callback) ?? bounded(callback, onTrouble)
      batches.set(callback, guarded)
      meter().addBatchObservableCallback(guarded, listOf(observables))
    },
    removeBatchObservableCallback(callback, observables) {
      meter().removeBatchObservableCallback(batches.get(callback) ?? callback, listOf(observables))
    },
  }
}

type Creating = Exclude<keyof Meter, 'addBatchObservableCallback' | 'removeBatchObservableCallback'>

/** JavaScript lets an app name an instrument by what is no text: by `undefined`, as a rule. */
function nameOf(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    return String(value)
  } catch {
    return 'unnamed'
  }
}

function plain(options: unknown): MetricOptions {
  const { unit, description, advice, ...rest } = (
    typeof options === 'object' && options !== null ? options : {}
  ) as MetricOptions
  return {
    ...rest,
    ...(typeof unit === 'string' ? { unit } : {}),
    ...(typeof description === 'string' ? { description } : {}),
    ...(advice ? { advice: withBounds(advice) } : {}),
  }
}

/** Two equal bounds would be two series of one name, and none of Prometheus's parsers reads NaN as one; +Inf is there anyway. */
function withBounds(advice: NonNullable<MetricOptions['advice']>): NonNullable<MetricOptions['advice']> {
  const { explicitBucketBoundaries: bounds } = advice
  if (!Array.isArray(bounds)) return advice
  return { ...advice, explicitBucketBoundaries: [...new Set(bounds.map(Number))].filter(Number.isFinite) }
}

interface WriteGuards {
  readonly onTrouble: OnTrouble
  readonly watcher?: Watcher | undefined
  readonly mayBeNaN?: boolean
}

/** Attributes that JSON cannot hold (a BigInt, a circle) throw in the SDK; a NaN would stay in a sum for ever, and only a gauge forgets it. */
function guardWrites<M extends 'add' | 'record', I extends Readonly<Record<M, unknown>>>(
  instrument: I,
  method: M,
  { onTrouble, watcher, mayBeNaN = false }: WriteGuards,
): I {
  // One that does nothing is the same for all.
  if (Object.hasOwn(instrument, method)) return instrument
  const write = (instrument[method] as (...args: unknown[]) => void).bind(instrument)
  const guarded = (value: unknown, attributes?: unknown, ...rest: unknown[]): void => {
    if (Number.isNaN(value) && !mayBeNaN) {
      onTrouble('refused', 'NaN')
      return
    }
    try {
      const own = copyOf(attributes)
      write(value, own, ...rest)
      watcher?.(value, own, ...rest)
    } catch (error) {
      onTrouble('refused', error)
    }
  }
  Object.defineProperty(instrument, method, { value: guarded, configurable: true, writable: true })
  return instrument
}

/** The SDK keeps the object that a series was measured with first: where the app uses it for the next one, too, both would be one. */
function copyOf(attributes: unknown): unknown {
  return typeof attributes === 'object' && attributes !== null ? { ...attributes } : attributes
}

/** observe(value, attributes) of one instrument, observe(instrument, value, attributes) of several. */
function copying<R>(result: R): R {
  const { observe } = result as { observe?: (...args: unknown[]) => void }
  if (typeof observe !== 'function') return result
  const copied = (...args: unknown[]): void => {
    const at = typeof args[0] === 'number' ? 1 : 2
    observe.apply(result, at < args.length ? args.with(at, copyOf(args[at])) : args)
  }
  return Object.create(result as object, { observe: { value: copied } }) as R
}

/** The instrument itself, since the SDK tells its own by their class. */
function guardObservable<O extends Observable>(instrument: O, onTrouble: OnTrouble): O {
  if (Object.hasOwn(instrument, 'addCallback')) return instrument
  const add = instrument.addCallback.bind(instrument)
  const remove = instrument.removeCallback.bind(instrument)
  const guarded: Guarded<ObservableCallback> = new WeakMap()
  return Object.assign(instrument, {
    addCallback(callback: ObservableCallback) {
      if (!isCallback(callback, onTrouble)) return
      const own = guarded.get(callback) ?? bounded(callback, onTrouble)
      guarded.set(callback, own)
      add(own)
    },
    removeCallback(callback: ObservableCallback) {
      remove(guarded.get(callback) ?? callback)
    },
  })
}

/** An option that the app was not given, as a rule. */
function isCallback(callback: unknown, onTrouble: OnTrouble): boolean {
  if (typeof callback === 'function') return true
  onTrouble('refused', 'a callback that is no function')
  return false
}

function listOf(observables: unknown): Observable[] {
  return Array.isArray(observables) ? (observables as Observable[]) : []
}

/** Not called again before it has answered: a callback that hangs would pile up. */
function bounded<R>(callback: (result: R) => void | Promise<void>, onTrouble: OnTrouble): (result: R) => Promise<void> {
  let isPending = false
  return async (result) => {
    if (isPending) throw new Error('the callback has not answered yet')
    isPending = true
    const work = call(callback, copying(result)).finally(() => {
      isPending = false
    })
    work.catch(() => {})
    try {
      await withinTime(work)
    } catch (error) {
      onTrouble(error === HANGS ? 'callback_hangs' : 'callback_failed', error)
      throw error
    }
  }
}

async function call<R>(callback: (result: R) => void | Promise<void>, result: R): Promise<void> {
  await callback(result)
}

const HANGS = new Error(`no answer within ${CALLBACK_MS} ms`)

function withinTime(work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(HANGS)
    }, CALLBACK_MS)
    timer.unref()
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer)
    })
  })
}
