// A function that is bound to a context restores the caller's when it throws, so that Node's handlers no longer see whose it was.
// It leaves a note. An error cannot be caught and thrown again for it: Node would show another line of code above the stack.
import type { Context } from '@opentelemetry/api'

let thrower: Context | undefined
/** Two threw before anybody asked: the first was caught, and which the error is from cannot be said. */
let isAmbiguous = false

export function noteThrower(context: Context): void {
  if (thrower === undefined) queueMicrotask(forget) // an error that ends the turn is asked for before that
  else if (thrower !== context) isAmbiguous = true
  thrower = context
}

export function takeThrower(): Context | undefined {
  const found = isAmbiguous ? undefined : thrower
  forget()
  return found
}

function forget(): void {
  thrower = undefined
  isAmbiguous = false
}
