// Listeners of ours on `process`. Node counts them when it warns of too many, on the app's stderr, and they are none of the app's.

type Listener = (...args: never[]) => void

const own = new WeakSet<object>()
const limited = process as unknown as { _maxListeners: number | undefined }
let isWatching = false
let room: { readonly most: number; readonly before: number | undefined } | undefined

/** As `process.on()`; with `isFirst` as `process.prependListener()`. */
export function listenToProcess(event: string, listener: Listener, isFirst = false): void {
  own.add(listener)
  if (!isWatching) {
    isWatching = true
    listenToProcess('newListener', makeRoom)
  }
  process[isFirst ? 'prependListener' : 'on'](event as 'exit', listener as () => void)
}

/** Before Node counts: where ours are what makes one listener too many, there may be as many more, for this one. */
function makeRoom(event: string | symbol): void {
  takeBack()
  const most = process.getMaxListeners()
  const all = process.listenerCount(event) + 1
  if (most === 0 || all <= most) return
  const ours = process.rawListeners(event).filter((listener) => own.has(listener)).length
  if (all - ours > most) return
  room = { most: most + ours, before: limited._maxListeners }
  process.setMaxListeners(room.most)
  process.nextTick(takeBack)
}

function takeBack(): void {
  if (room && process.getMaxListeners() === room.most) limited._maxListeners = room.before
  room = undefined
}
