import { subscribe } from 'node:diagnostics_channel'
import { types } from 'node:util'
import { activeInFlight } from './in-flight.ts'

/** Remembers what a request has put on the console. Node tells of it: `console` stays as it is. */
export function watchLoggedErrors(): void {
  subscribe('console.error', (args) => {
    try {
      const error = (args as readonly unknown[]).find(types.isNativeError)
      if (error) activeInFlight()?.hasLogged(error)
    } catch {
      // the line goes out all the same
    }
  })
}
