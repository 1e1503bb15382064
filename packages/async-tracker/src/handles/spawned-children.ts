// Child processes that a request starts are work of that request: from spawn() to their exit. Node tells of each new one on a
// diagnostics channel, so nothing is patched but the handle itself, and only where somebody has promised it.
import { subscribe } from 'node:diagnostics_channel'
import { basename } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import {
  activePromise,
  callIn,
  isAbort,
  onSignalSent,
  toFailure,
  type Core,
  type OpenWork,
} from '@afterspan/core/internal'
import { hideOver } from './hide-over.ts'
import { poolThatStarts } from './pools.ts'

/** What Node's own `spawn` hands to a child: the file, and the arguments with the program's name first. */
interface SpawnOptions {
  readonly file?: string
  readonly args?: readonly string[]
  readonly detached?: boolean
}
type Handle = ChildProcess & { spawn(options: SpawnOptions): unknown }

export function watchChildren({ beginWork }: Pick<Core, 'beginWork'>): void {
  subscribe('child_process', (message) => {
    if (activePromise() === undefined || poolThatStarts()) return
    const child = (message as { readonly process: Handle }).process
    hideOver(child, 'spawn', (spawn) => (options: SpawnOptions) => {
      const { isShell, name } = nameOf(options)
      const work = beginWork({ system: 'child_process', destination: name, name }, { 'process.executable.name': name })
      const forget = work && follow(child, work, { isShell, isDetached: options.detached === true })
      try {
        const returned = spawn.call(child, options)
        if (work) releaseOnceShared(child, work)
        return returned
      } catch (error) {
        forget?.()
        work?.fail({ reason: 'threw', failure: toFailure(error) })
        throw error
      }
    })
  })
}

/** One that has answered, and is asked on behalf of somebody else, is kept for all: what it was started for is done. */
function releaseOnceShared(child: Handle, work: OpenWork): void {
  if (typeof child.send !== 'function') return
  let hasAnswered = false
  let isShared = false
  hideOver(child, 'emit', (emit) => (...args: unknown[]) => {
    if (args[0] === 'message') hasAnswered = true
    if (!isShared) return emit.apply(child, args)
    if (hasAnswered) work.succeed()
    // In the context of whoever started it, what the app does for the others would be told of that one.
    return callIn(ROOT_CONTEXT, emit, child, args)
  })
  hideOver(child, 'send', (send) => (...args: unknown[]) => {
    if (activePromise() !== work.promisedBy) isShared = true
    if (hasAnswered && isShared) work.succeed()
    return send.apply(child, args)
  })
}

/** The app itself; Node, since a time-out or an AbortSignal has run out; Node, since it said more than `maxBuffer`. */
type Killer = 'app' | 'buffer' | 'time'

interface Seen {
  error?: unknown
  /** Who asked for its end in this process. */
  killedBy?: Killer
}

/** Until its exit, or until what it gives is called. */
function follow(
  child: Handle,
  work: OpenWork,
  { isShell, isDetached }: { readonly isShell: boolean; readonly isDetached: boolean },
): () => void {
  const seen: Seen = {}
  hideOver(child, 'kill', (kill) => (...args: unknown[]) => {
    if (args[0] !== 0) seen.killedBy ??= whoKills()
    return kill.apply(child, args)
  })
  // By its number, or by that of the group that a detached one leads.
  const stopHearing = onSignalSent((pid) => {
    if (pid === child.pid || -pid === child.pid) seen.killedBy ??= 'app'
  })
  // A detached child outlives the process and may do so unseen.
  hideOver(child, 'unref', (unref) => () => {
    if (isDetached) work.release()
    return unref.call(child)
  })
  hideOver(child, 'emit', (emit) => (...args: unknown[]) => {
    const [event, first, second] = args
    if (event === 'error') {
      seen.error = first
      // Never started: there will be no 'exit'.
      if (child.pid === undefined) {
        stopHearing()
        work.fail({ reason: 'threw', failure: toFailure(first) })
      }
    } else if (event === 'exit') {
      stopHearing()
      end(work, seen, { code: first as number | null, signal: second as string | null, isShell })
    }
    return emit.apply(child, args)
  })
  return stopHearing
}

function end(
  work: OpenWork,
  { error, killedBy }: Seen,
  {
    code,
    signal,
    isShell,
  }: { readonly code: number | null; readonly signal: string | null; readonly isShell: boolean },
): void {
  if (code === 0) {
    work.succeed({ 'process.exit.code': 0 })
    return
  }
  if (killedBy === 'buffer') {
    // By the signal, or since it could write no more.
    work.fail({ reason: 'exited', failure: SAID_TOO_MUCH })
    return
  }
  if (signal !== null) {
    if (isAbort(error) || killedBy === 'app') work.cancel('aborted')
    else if (killedBy === 'time')
      work.fail({
        reason: 'expired',
        failure: { type: signal, message: 'took longer than the timeout that it was started with' },
      })
    else work.lose({ reason: 'process_killed', evidence: 'exit_record', signal })
    return
  }
  const failure = { type: `exit_${code}`, message: `exited with code ${code}` }
  // A shell says 128 + n where what it ran was ended by signal n.
  if (isShell && code! > 128 && code! <= 128 + 64)
    work.lose({ reason: 'process_killed', evidence: 'exit_record', exitCode: code!, failure })
  else work.fail({ reason: 'exited', failure, exitCode: code! })
}

/** Named as in the error that Node makes of it, by which that one is known again. */
const SAID_TOO_MUCH = {
  type: 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER',
  message: 'said more than the maxBuffer that it was started with',
}

/** By who has called `kill`. What an app does by `using` is called by node:internal/child_process. */
function whoKills(): Killer {
  const before = Error.stackTraceLimit
  Reflect.set(Error, 'stackTraceLimit', 5) // not where intrinsics are frozen
  const { stack = '' } = new Error('who asks')
  Reflect.set(Error, 'stackTraceLimit', before)
  // Error, this function, the wrapper, its caller, and who called that.
  const [, , , caller = '', above = ''] = stack.split('\n')
  if (!caller.includes('(node:child_process:')) return 'app'
  return /\bonChildStd(?:out|err) \(node:/.test(above) ? 'buffer' : 'time'
}

/** The program's name, and of a shell's command the first word: never arguments, which may hold what nobody should read. */
function nameOf({ file = '', args = [] }: SpawnOptions): { readonly name: string; readonly isShell: boolean } {
  const program = basename(file) || 'child'
  if (args.length !== 3 || args[1] !== '-c' || !/^(?:sh|bash|dash|zsh)$/.test(program))
    return { name: program, isShell: false }
  const word = /^\s*([\w./+-]+)(?=\s|$)/.exec(args[2] ?? '')?.[1]
  return { name: word ? basename(word) : program, isShell: true }
}
