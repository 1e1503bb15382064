// A process without a handler of its own dies of a signal at once, and no JavaScript runs. So there is one handler of ours for
// each of the three, which says goodbye and lets the signal take its course. It is there only while nobody else listens: a
// library that counts listeners to decide whether it must end the process (signal-exit does) never meets ours.
import { isMainThread } from 'node:worker_threads'
import type { Drain } from './drain.ts'
import { listenToProcess } from './own-listeners.ts'

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
type Name = keyof typeof SIGNALS

export function watchSignals(
  sayFarewell: (code: number, signal: string, drainedMs: number) => void,
  drain: Pick<Drain, 'finish' | 'hear'>,
): void {
  if (!isMainThread) return
  for (const name of Object.keys(SIGNALS) as Name[]) watch(name, sayFarewell, drain)
}

function watch(
  name: Name,
  sayFarewell: (code: number, signal: string, drainedMs: number) => void,
  drain: Pick<Drain, 'finish' | 'hear'>,
): void {
  const handle = (): void => {
    if (name === 'SIGTERM') drain.finish(leave)
    else leave(0)
  }
  const leave = (drainedMs: number): void => {
    sayFarewell(128 + SIGNALS[name], name, drainedMs)
    process.removeListener(name, handle)
    process.kill(process.pid, name)
  }
  let isOurs = false
  const add = (): void => {
    isOurs = true
    const listen = (): void => {
      listenToProcess(name, handle)
    }
    if (name === 'SIGTERM') drain.hear(listen)
    else listen()
  }
  listenToProcess('newListener', (event: string | symbol, listener: unknown) => {
    if (event !== name || listener === handle || !isOurs) return
    isOurs = false
    // Not before the other one is in place: Node stops to listen for a signal with its last listener.
    process.nextTick(() => {
      if (process.listenerCount(name) > 1) process.removeListener(name, handle)
      else isOurs = process.listenerCount(name) === 1
    })
  })
  listenToProcess('removeListener', (event: string | symbol, listener: unknown) => {
    if (event === name && listener !== handle && process.listenerCount(name) === 0) add()
  })
  try {
    add()
  } catch {
    // signals are not to be had here
  }
}
