interface Observer {
  next(value: unknown): void
  error(error: unknown): void
  complete(): void
}
interface Observable {
  subscribe(observer: Observer): { unsubscribe(): void }
}
type Constructor = new (subscribe: (observer: Observer) => unknown) => unknown

export interface ObservableEnds {
  /** Before whoever subscribed hears of it. */
  failed(error: unknown): void
  /** However it ended, also by him who no longer listens. */
  ended?(): void
}

/** A stream of rxjs like the one that is given, whose end is seen; undefined where it is none. */
export function followObservable(given: unknown, { ended, failed }: ObservableEnds): unknown {
  const Observable = observableOf(given)
  if (!Observable) return undefined
  return new Observable((observer) => {
    const subscription = (given as Observable).subscribe({
      next(value) {
        observer.next(value)
      },
      error(error) {
        failed(error)
        ended?.()
        observer.error(error)
      },
      complete() {
        ended?.()
        observer.complete()
      },
    })
    return () => {
      ended?.()
      subscription.unsubscribe()
    }
  })
}

/** The class of the app's own rxjs, below whatever class the stream has. */
function observableOf(given: unknown): Constructor | undefined {
  for (let at: unknown = given; typeof at === 'object' && at !== null; at = Object.getPrototypeOf(at))
    if (Object.hasOwn(at, 'lift') && Object.hasOwn(at, 'subscribe')) {
      const found = (at as { readonly constructor: unknown }).constructor
      if (typeof found === 'function' && found.name === 'Observable') return found as Constructor
    }
  return undefined
}
