// The child process in which Bull runs a handler that is a file. Its attempt is told where the worker is; here the job is run in the
// attempt's context.
import { resumeAttempt, type Integration } from '@afterspan/core/internal'
import { isObject } from './sending/bag.ts'
import { takeCarried } from './bull/sandbox.ts'

type Listener = (...args: any[]) => void

const ours = new WeakSet<Listener>()

/** The part of the integration of Bull that a sandboxed handler needs. It follows no messages: where the rest is switched off, spans that others make of them count. */
export const bullSandbox: Integration = {
  name: 'bull-sandbox',
  module: 'bull',
  files: ['lib/process/master.js'],
  versions: '>=4.0.0 <5',
  patch() {
    // The file exports nothing, and has just begun to listen.
    const listener = process.listeners('message').at(-1) as Listener | undefined
    if (!listener || ours.has(listener)) return
    const followed: Listener = function (this: unknown, message: unknown, ...args) {
      const job = isObject(message) && message['cmd'] === 'start' ? message['job'] : undefined
      if (!isObject(job)) return listener.call(this, message, ...args)
      const { message: carrier, attempt } = takeCarried(job)
      return resumeAttempt(carrier, attempt, () => listener.call(this, message, ...args))
    }
    ours.add(followed)
    process.off('message', listener)
    process.on('message', followed)
  },
}
