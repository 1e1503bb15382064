import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { realpathSync } from 'node:fs'
import { sep } from 'node:path'

const LONG_LIVED_MS = 5_000
const LISTENS = 'tracing:net.server.listen:asyncEnd'

/** A process that listens on a port, or an app's own script that lives longer than five seconds, is one to look at. A tool that inherited NODE_OPTIONS is not, even if it stays (a watcher, a process manager): it would take the app's port. */
export function wakeWhenListening(wake: () => void): void {
  const stop = (): void => {
    unsubscribe(LISTENS, listens)
    clearTimeout(timer)
  }
  const listens = (message: unknown): void => {
    if (!isOnPort((message as { server?: Listening }).server)) return
    stop()
    wake()
  }
  subscribe(LISTENS, listens)
  const timer = setTimeout(() => {
    if (!isAppScript(process.argv[1])) return
    stop()
    wake()
  }, LONG_LIVED_MS)
  timer.unref()
}

interface Listening {
  address?(): unknown
}

/** Not on a pipe or a Unix socket: those are how tools speak with their own parts. */
function isOnPort(server: Listening | undefined): boolean {
  try {
    return typeof server?.address?.() !== 'string'
  } catch {
    return true
  }
}

/** Nobody's package, and not text from -e or the terminal. A process manager that runs the app in its own process has put the app's script there by now. */
function isAppScript(script: string | undefined): boolean {
  if (script === undefined) return false
  try {
    return !realpathSync(script).includes(`${sep}node_modules${sep}`)
  } catch {
    return false
  }
}
