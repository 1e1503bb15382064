import type { Command } from './shapes.ts'

/** Looks at what a command comes to, before the app does; its promise is left alone, so that a rejection stays one that nobody handled. */
export function observeReply(
  command: Command,
  onReply: (reply: unknown) => void,
  onError: (error: unknown) => void = () => {},
  onQueued: () => void = () => {},
): void {
  const { transformReply, reject } = command
  command.transformReply = (reply) => {
    const value = transformReply.call(command, reply)
    // In a transaction the word comes later.
    if (isQueued(value)) onQueued()
    else onReply(value)
    return value
  }
  command.reject = (error) => {
    onError(error)
    reject.call(command, error)
  }
}

function isQueued(value: unknown): boolean {
  return value === 'QUEUED' || (Buffer.isBuffer(value) && value.toString() === 'QUEUED')
}
