// A process without a handler of its own dies of a signal at once, and no JavaScript runs. So there is one handler of ours for
// each of the three, which says goodbye and lets the signal take its course. It is there only while nobody else listens: a
// library that counts listeners to decide whether it must end the process (signal-exit does) never meets ours. And it comes with the
// first thing that could be lost: a handler is called by the event loop, so that one that never turns is not ended by Ctrl-C.
import { isMainThread } from 'node:worker_threads'
import { globalState } from '../global-state.ts'
import { withOwnFramesHidden } from '../instrument/hidden-frames.ts'
import { replaceMethod } from '../instrument/replace-method.ts'
import type { Drain } from './drain.ts'
import { listenToProcess } from './own-listeners.ts'
import { tellSignal } from './sent-signals.ts'
import type { Stake } from './stake.ts'

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
type Name = keyof typeof SIGNALS
const NAMES = Object.keys(SIGNALS) as Name[]

/**
 * The first process of a PID namespace, as in a container without an init: the kernel keeps from it each signal that it has no handler
 * for, also one that it sends itself. So a signal does not end it, and nothing is to be said as if it did. SIGKILL will.
 * Source: pid_namespaces(7).
 */
const IS_UNDYING = process.platform === 'linux' && process.pid === 1

type Farewell = (code: number, signal: string, drainedMs: number) => void

export function watchSignals(
  sayFarewell: Farewell,
  drain: Pick<Drain, 'finish' | 'hear'>,
  stake: Pick<Stake, 'onFirst'>,
): void {
  if (!isMainThread) return
  const watched = new Map(NAMES.map((name) => [name, watch(name, sayFarewell, drain)]))
  for (const { begin } of watched.values()) stake.onFirst(begin)
  globalState().releaseSignals = () => {
    for (const { release } of watched.values()) release()
    setImmediate(() => {
      for (const { resume } of watched.values()) resume()
    }).unref()
  }
  meetOwn((name) => watched.get(name)?.yield())
}

/**
 * A signal that the process sends to itself ends it inside `process.kill()`. With our handler it would come by the event loop, after
 * what follows in the code, and not at all where the loop is empty by then.
 */
function meetOwn(yieldTo: (name: Name) => void): void {
  replaceMethod(
    process,
    'kill',
    (original) =>
      function (this: unknown, ...args: unknown[]) {
        const name = isSelf(args[0]) ? nameOf(args[1]) : undefined
        if (name) yieldTo(name)
        tellSignal(args[0], args[1])
        return withOwnFramesHidden(() => original.apply(this, args))
      },
  )
}

/** Also a group of processes that it is in, or leads. */
function isSelf(pid: unknown): boolean {
  return pid === process.pid || pid === 0 || pid === -process.pid
}

function nameOf(signal: unknown = 'SIGTERM'): Name | undefined {
  return NAMES.find((name) => signal === name || signal === SIGNALS[name])
}

interface Watched {
  /** Puts our handler there. */
  begin(): void
  /** The signal is about to be sent, and is to be met without our handler: what that does is done now. */
  yield(): void
  /** Takes our handler away, until it is to come back. */
  release(): void
  resume(): void
}

function watch(name: Name, sayFarewell: Farewell, drain: Pick<Drain, 'finish' | 'hear'>): Watched {
  let isOurs = false
  let isWanted = false
  const handle = (): void => {
    if (IS_UNDYING) return
    if (name === 'SIGTERM') drain.finish(leave)
    else leave(0)
  }
  const remove = (): void => {
    isOurs = false
    process.removeListener(name, handle)
  }
  const retreat = (drainedMs: number): void => {
    sayFarewell(128 + SIGNALS[name], name, drainedMs)
    remove()
  }
  const leave = (drainedMs: number): void => {
    retreat(drainedMs)
    process.kill(process.pid, name)
  }
  const add = (): void => {
    isOurs = true
    if (!listen(name, handle, drain)) isOurs = false
  }
  // Before Node hears of it: what it binds for the app's handler of SIGTERM has to be what the drain has put there.
  const meet = (event: string | symbol, listener: unknown): void => {
    if (event !== name || listener === handle) return
    if (name === 'SIGTERM' && process.listenerCount(name) === 0) add()
    if (!isOurs) return
    isOurs = false
    // Not before the other one is in place: Node stops to listen for a signal with its last listener.
    process.nextTick(() => {
      const left = process.listenerCount(name)
      isOurs = isWanted && left === 1
      if (!isOurs) process.removeListener(name, handle)
    })
  }
  listenToProcess('newListener', meet, true)
  const resume = (): void => {
    if (isWanted && process.listenerCount(name) === 0) add()
  }
  listenToProcess('removeListener', (event: string | symbol, listener: unknown) => {
    if (event === name && listener !== handle) resume()
  })
  return {
    begin() {
      isWanted = true
      resume()
    },
    yield() {
      if (isOurs && !IS_UNDYING) retreat(0)
    },
    release() {
      if (isOurs) remove()
    },
    resume,
  }
}

/** False: signals are not to be had here. */
function listen(name: Name, handle: () => void, drain: Pick<Drain, 'hear'>): boolean {
  const put = (): void => {
    listenToProcess(name, handle)
  }
  try {
    if (name === 'SIGTERM') drain.hear(put)
    else put()
    return true
  } catch {
    return false
  }
}
