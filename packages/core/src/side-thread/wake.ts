import { subscribe, unsubscribe } from 'node:diagnostics_channel'

const LONG_LIVED_MS = 5_000

/** A process that listens, or that lives longer than five seconds, is one to look at; a tool that inherited NODE_OPTIONS mostly is not. */
export function wakeWhenListening(wake: () => void): void {
  const channel = 'tracing:net.server.listen:asyncEnd'
  const once = (): void => {
    unsubscribe(channel, once)
    clearTimeout(timer)
    wake()
  }
  subscribe(channel, once)
  const timer = setTimeout(once, LONG_LIVED_MS)
  timer.unref()
}
