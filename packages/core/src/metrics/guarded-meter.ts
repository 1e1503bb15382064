// A meter whose instruments never throw into the app, and whose callbacks cost only their own series.
import type {
  BatchObservableCallback,
  Meter,
  Observable,
  ObservableCallback,
  ObservableCounter,
  ObservableGauge,
  ObservableUpDownCounter,
} from '@opentelemetry/api'

/** A scrape waits no longer for one callback. */
const CALLBACK_MS = 400

/** What is wrong with the app's own metrics, by reason. */
export type OnTrouble = (reason: 'callback_failed' | 'callback_hangs' | 'refused', why: unknown) => void

type Guarded<C> = WeakMap<object, C>

export function guardedMeter(make: () => Meter, onTrouble: OnTrouble): Meter {
  let made: Meter | undefined
  const meter = (): Meter => (made ??= make())
  const batches: Guarded<BatchObservableCallback> = new WeakMap()
  const observed = <O extends ObservableCounter | ObservableGauge | ObservableUpDownCounter>(instrument: O): O =>
    guardObservable(instrument, onTrouble)
  return {
    createCounter: (name, options) => guardWrites(meter().createCounter(name, options), 'add', onTrouble),
    createGauge: (name, options) => guardWrites(meter().createGauge(name, options), 'record', onTrouble, true),
    createHistogram: (name, options) => guardWrites(meter().createHistogram(name, options), 'record', onTrouble),
    createUpDownCounter: (name, options) => guardWrites(meter().createUpDownCounter(name, options), 'add', onTrouble),
    createObservableCounter: (name, options) => observed(meter().createObservableCounter(name, options)),
    createObservableGauge: (name, options) => observed(meter().createObservableGauge(name, options)),
    createObservableUpDownCounter: (name, options) => observed(meter().createObservableUpDownCounter(name, options)),
    addBatchObservableCallback(callback, observables) {
      const guarded = batches.get(callback) ?? bounded(callback, onTrouble)
      batches.set(callback, guarded)
      meter().addBatchObservableCallback(guarded, observables)
    },
    removeBatchObservableCallback(callback, observables) {
      meter().removeBatchObservableCallback(batches.get(callback) ?? callback, observables)
    },
  }
}

/** Attributes that JSON cannot hold (a BigInt, a circle) throw in the SDK; a NaN would stay in a sum for ever, and only a gauge forgets it. */
function guardWrites<M extends 'add' | 'record', I extends Readonly<Record<M, unknown>>>(
  instrument: I,
  method: M,
  onTrouble: OnTrouble,
  mayBeNaN = false,
): I {
  const write = (instrument[method] as (...args: unknown[]) => void).bind(instrument)
  const guarded = (value: unknown, ...rest: unknown[]): void => {
    if (Number.isNaN(value) && !mayBeNaN) {
      onTrouble('refused', 'NaN')
      return
    }
    try {
      write(value, ...rest)
    } catch (error) {
      onTrouble('refused', error)
    }
  }
  Object.defineProperty(instrument, method, { value: guarded, configurable: true, writable: true })
  return instrument
}

/** The instrument itself, since the SDK tells its own by their class. */
function guardObservable<O extends Observable>(instrument: O, onTrouble: OnTrouble): O {
  if (Object.hasOwn(instrument, 'addCallback')) return instrument
  const add = instrument.addCallback.bind(instrument)
  const remove = instrument.removeCallback.bind(instrument)
  const guarded: Guarded<ObservableCallback> = new WeakMap()
  return Object.assign(instrument, {
    addCallback(callback: ObservableCallback) {
      const own = guarded.get(callback) ?? bounded(callback, onTrouble)
      guarded.set(callback, own)
      add(own)
    },
    removeCallback(callback: ObservableCallback) {
      remove(guarded.get(callback) ?? callback)
    },
  })
}

/** Not called again before it has answered: a callback that hangs would pile up. */
function bounded<R>(callback: (result: R) => void | Promise<void>, onTrouble: OnTrouble): (result: R) => Promise<void> {
  let isPending = false
  return async (result) => {
    if (isPending) throw new Error('the callback has not answered yet')
    isPending = true
    const work = call(callback, result).finally(() => {
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
