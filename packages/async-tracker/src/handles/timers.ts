// A timer that the app sets for a request as it answers, or after that, is work that was promised: it is noted outside of the process, so
// that a death before it has run is told. Why not each timer, and why a note and no task: docs/decisions/late-timers.md
import { basename, sep } from 'node:path'
import timers from 'node:timers'
import sleeping from 'node:timers/promises'
import {
  activeRequest,
  type Core,
  endOf,
  type EpochMs,
  newSpanId,
  replaceMethod,
  type RequestRecord,
  type TaskId,
  type TaskSpawned,
} from '@afterspan/core/internal'
import type { TimerFile } from '../journal/timer-file.ts'

/** What waits longer is no work that somebody waits for: a cache's entry that expires, a session that ends. */
const LONGEST_MS = 60_000
/** From the begin of the request on: a loop that sleeps for ever, and that some request happened to start, is nobody's work. */
const FOLLOWED_MS = 60_000
/** Of a stack: who called. */
const FRAMES = 2

type Notes = Pick<TimerFile, 'note' | 'over'>
type Method = (this: unknown, ...args: any[]) => unknown
/** What Node's timers have, and their public type does not say. */
interface OpenTimer {
  _destroyed: boolean
  hasRef(): boolean
}
/** One that has been set, while its request may be answered in this turn. */
interface Candidate {
  readonly record: RequestRecord
  readonly at: EpochMs
  /** Where it was set: read when that is wanted. */
  readonly site: { readonly stack?: unknown }
  /** What it calls, where that is long enough to be known again. */
  readonly text?: string
  isPending(): boolean
  whenOver(over: () => void): void
}

export function watchTimers(file: Notes, { clock: { now }, holdDrain }: Pick<Core, 'clock' | 'holdDrain'>): void {
  const take = createTaker(file, holdDrain)
  const replaced = (original: Method): Method => {
    const setTimeout = function (this: unknown, ...args: any[]): unknown {
      const timer = original.apply(this, args)
      const record = activeRequest()
      if (!record || !isShort(args[1]) || isTooLate(record, now())) return timer
      const text = textOf(args[0])
      if (!isOfLibrary.get(text))
        take({ record, at: now(), site: siteOf(setTimeout), text, ...openTimer(timer as OpenTimer) })
      return timer
    }
    return setTimeout
  }
  replaceMethod(timers, 'setTimeout', replaced)
  // The two are one in Node, and stay one.
  Reflect.set(globalThis, 'setTimeout', timers.setTimeout)
  replaceMethod(sleeping, 'setTimeout', (original) => {
    const setTimeout = function (this: unknown, ...args: any[]): unknown {
      const promise = original.apply(this, args)
      const record = activeRequest()
      if (!record || !isShort(args[0]) || !(promise instanceof Promise) || !holds(args[2])) return promise
      if (isTooLate(record, now())) return promise
      const { settle, ...open } = openPromise()
      take({ record, at: now(), site: siteOf(setTimeout), ...open })
      // No branch beside the app's own: a rejection that nobody handles must stay one.
      return promise.then(
        (value: unknown) => {
          settle()
          return value
        },
        (error: unknown) => {
          settle()
          throw error
        },
      )
    }
    return setTimeout
  })
}

function isTooLate({ startedAt }: RequestRecord, at: EpochMs): boolean {
  return at - startedAt > FOLLOWED_MS
}

/** What timers are to call, as it is written, and whether it is a library that has set them: a connection that goes idle sets one for each request, and to look who called costs more than the rest. */
const isOfLibrary = new Map<string, boolean>()
const MOST_KNOWN = 1_000
/** Shorter ones, as those that Node makes for a promise, may be anybody's. */
const SHORTEST_TEXT = 40

/** Whether a library has set it, once for each text. */
function learn({ text = '', site }: Candidate): void {
  if (text !== '' && !isOfLibrary.has(text) && isOfLibrary.size < MOST_KNOWN)
    isOfLibrary.set(text, placeOf(site) === undefined)
}

function textOf(callback: unknown): string {
  const text = Function.prototype.toString.call(callback)
  return text.length < SHORTEST_TEXT ? '' : text
}

function isShort(delay: unknown): boolean {
  return typeof delay === 'number' && delay >= 1 && delay < LONGEST_MS
}

/** What does not hold the process is not waited for by the app either. */
function holds(options: unknown): boolean {
  try {
    return (options as { readonly ref?: unknown } | undefined)?.ref !== false
  } catch {
    return false
  }
}

/** Notes what is left when the turn of the loop is over, if by then the request is answered: what is set before that is mostly a limit of time for what the answer waits for. */
function createTaker(file: Notes, hold: Core['holdDrain']): (candidate: Candidate) => void {
  let waiting: Candidate[] = []
  const settle = (): void => {
    const due = waiting
    waiting = []
    for (const candidate of due) learn(candidate)
    for (const candidate of due) if (isAnswered(candidate.record) && candidate.isPending()) note(file, hold, candidate)
  }
  return (candidate) => {
    if (waiting.push(candidate) === 1) setImmediate(settle).unref()
  }
}

function isAnswered({ ended, response }: RequestRecord): boolean {
  return ended || response?.writableEnded === true
}

function note(file: Notes, hold: Core['holdDrain'], { record, at, site, whenOver }: Candidate): void {
  const place = placeOf(site)
  if (place === undefined) return
  const { ref, route, method, promised, response } = record
  const status = record.status ?? response?.statusCode
  const event: TaskSpawned = {
    kind: 'spawned',
    taskId: `${ref.traceId}${newSpanId()}` as TaskId,
    at,
    system: 'process',
    destination: place,
    name: 'setTimeout',
    origin: ref,
    ...(route === undefined ? {} : { route }),
    late: { ...endOf(record), method, isCounted: promised === 0, ...(status === undefined ? {} : { status }) },
  }
  const slot = file.note(event)
  if (slot < 0) return
  const letGo = hold(event)
  whenOver(() => {
    file.over(slot)
    letGo()
  })
}

/** Node marks a timer when it has run or was cleared, and what it calls stays as it is. */
function openTimer(timer: OpenTimer): Pick<Candidate, 'isPending' | 'whenOver'> {
  return {
    isPending: () => timer._destroyed === false && timer.hasRef(),
    whenOver(over) {
      let isDestroyed = false
      let isOver = false
      Object.defineProperty(timer, '_destroyed', {
        configurable: true,
        enumerable: true,
        get: () => isDestroyed,
        set(value: boolean) {
          isDestroyed = value
          // One that has run may be set again, by refresh(): its note was given to another by then.
          if (!value || isOver) return
          isOver = true
          over()
        },
      })
    },
  }
}

function openPromise(): Pick<Candidate, 'isPending' | 'whenOver'> & { settle(): void } {
  let isPending = true
  let onOver: (() => void) | undefined
  return {
    isPending: () => isPending,
    whenOver(over) {
      onOver = over
    },
    settle() {
      isPending = false
      onOver?.()
    },
  }
}

function siteOf(boundary: Method): Candidate['site'] {
  const limit = Error.stackTraceLimit
  const site = {}
  if (typeof limit !== 'number') return site
  Reflect.set(Error, 'stackTraceLimit', FRAMES)
  Error.captureStackTrace(site, boundary)
  Reflect.set(Error, 'stackTraceLimit', limit)
  return site
}

const FRAME = /(?:\(|at (?:async )?)((?:file:\/\/|\/|[A-Za-z]:[\\/])[^()]*):(\d+):\d+\)?$/
const FOLDER = __dirname + sep

/** File and line of the app; undefined where a library has set it: connections that go when they are idle, limits of time. */
function placeOf(site: Candidate['site']): string | undefined {
  let stack: unknown
  try {
    stack = site.stack
  } catch {
    return undefined // the app formats its stacks itself
  }
  if (typeof stack !== 'string') return undefined
  for (const line of stack.split('\n').slice(1)) {
    const [, path, at] = FRAME.exec(line) ?? []
    if (path === undefined || path.includes(FOLDER)) continue
    return /[\\/]node_modules[\\/]/.test(path) ? undefined : `${basename(path)}:${at}`
  }
  return undefined
}
