// A function that is bound to a context restores the caller's when it throws, so that Node's handlers no longer see whose it was.
// It leaves a note. An error cannot be caught and thrown again for it: Node would show another line of code above the stack.
import { context, type Context } from '@opentelemetry/api'

const MOST = 8
let throwers: Context[] = []
let lately: Context[] = []

export function noteThrower(thrower: Context): void {
  if (throwers.length === 0) queueMicrotask(forget) // an error that ends the turn is asked for before that
  // What a promise was rejected with comes when all microtasks are over.
  if (lately.length === 0) setImmediate(forgetLately).unref()
  for (const those of [throwers, lately]) if (those.length < MOST && !those.includes(thrower)) those.push(thrower)
}

/** For what is started now, and may throw where its context is gone: leaves the note. */
export function throwerOfNow(): () => void {
  const now = context.active()
  return () => {
    noteThrower(now)
  }
}

/** Several threw, or one threw through several, before anybody asked: which of them the error is from cannot be said. */
export function takeThrowers(): readonly Context[] {
  const found = throwers
  forget()
  return found
}

/** Those that a promise may have been rejected by which is somebody else's. */
export function lateThrowers(): readonly Context[] {
  return lately
}

function forget(): void {
  throwers = []
}

function forgetLately(): void {
  lately = []
}
