// Worker threads: one that a request starts is work of that request until it ends, and what a request posts to a thread that was
// there before is work until the thread answers. Threads answer in the order in which they were asked, as far as anybody outside
// can see: each message from one settles the oldest post. A thread that never answers is found out after a few posts, and what it
// gets counts as done from then on.
import { subscribe } from 'node:diagnostics_channel'
import { basename } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import {
  activePromise,
  callIn,
  isOwnWork,
  processChannel,
  throwerOfNow,
  toFailure,
  type Core,
  type OpenWork,
} from '@afterspan/core/internal'
import { hideOver } from './hide-over.ts'
import { poolThatStarts } from './pools.ts'

/** So many posts without a single answer: it is not one that answers. */
const MOST_UNANSWERED = 16
/** Posts to one thread that are followed at a time; more are not. */
const MOST_POSTS = 10_000

type Deps = Pick<Core, 'beginWork' | 'clock'>

export function watchThreads(deps: Deps): void {
  subscribe('worker_threads', (message) => {
    if (isOwnWork()) return
    const pool = poolThatStarts()
    if (pool === 'queue') return
    const isOfPool = pool === 'pool'
    new Thread((message as { readonly worker: Worker }).worker, deps, isOfPool).follow(isOfPool)
  })
}

class Thread {
  readonly #worker: Worker
  readonly #deps: Deps
  readonly #threadId: number
  readonly #name: string
  /** Of the request that started it. */
  readonly #own: OpenWork | undefined
  readonly #noteThrower = throwerOfNow()
  readonly #posts: OpenWork[] = []
  /** Its code runs. Node says 0 of one that was ended before. */
  #hasBegun = false
  #answers = 0
  /** By the request that started it. */
  #isOwnAsked = false
  /** Asked for somebody else too: it is kept for all. */
  #isShared = false
  #unanswered = 0
  #error: { readonly thrown: unknown } | undefined

  constructor(worker: Worker, deps: Deps, isOfPool: boolean) {
    this.#worker = worker
    this.#deps = deps
    this.#threadId = worker.threadId
    this.#name = nameOf(worker)
    this.#own = isOfPool ? undefined : this.#begin()
  }

  /** What a pool posts is of whoever waited longest, and posted in the context of whoever was done before: it is not looked at. */
  follow(isOfPool: boolean): void {
    const worker = this.#worker
    if (!isOfPool) this.#followPosts(worker)
    hideOver(worker, 'emit', (emit) => (...args: unknown[]) => {
      const [event, first] = args
      if (event === 'online') this.#hasBegun = true
      else if (event === 'message' || event === 'messageerror') this.#answered()
      else if (event === 'error') {
        // Now, and not at its exit: without a listener of the app this error ends the process.
        this.#error = { thrown: first }
        this.#settle(1)
        // Of memory that ran out Node tells outside of every context.
        if (this.#own && !this.#isShared && worker.listenerCount('error') === 0) this.#noteThrower()
      } else if (event === 'exit') {
        this.#ended(first as number)
        // Node has left the context of whoever started it when what a listener throws is told of.
        if (this.#own && !this.#isShared && worker.listenerCount('exit') > 0) this.#noteThrower()
      }
      // In the context of whoever started it, what the app does for the others would be told of that one.
      return this.#own && this.#isShared ? callIn(ROOT_CONTEXT, emit, worker, args) : emit.apply(worker, args)
    })
  }

  #followPosts(worker: Worker): void {
    hideOver(worker, 'postMessage', (post) => (...args: unknown[]) => {
      const work = this.#beginPost()
      try {
        return post.apply(worker, args)
      } catch (error) {
        // Not cloneable: it never left.
        if (work) this.#refuse(work, error)
        throw error
      }
    })
  }

  #begin(): OpenWork | undefined {
    const name = this.#name
    return this.#deps.beginWork({ system: 'worker_threads', destination: name, name }, { 'thread.id': this.#threadId })
  }

  #beginPost(): OpenWork | undefined {
    const promisedBy = activePromise()
    const own = this.#own
    // What the request that started it tells it is part of that work.
    if (!this.#isShared && promisedBy !== undefined && promisedBy === own?.promisedBy) {
      this.#isOwnAsked = true
      return undefined
    }
    // One that has answered, and is asked for somebody else, is kept for all: what it was started for is done.
    if (this.#answers > 0) own?.succeed()
    if (promisedBy === undefined) return undefined
    if (this.#posts.length >= MOST_POSTS || (this.#answers === 0 && this.#unanswered > MOST_UNANSWERED))
      return undefined
    const work = this.#begin()
    if (!work) return undefined
    // It is asked before it has answered whoever started it: the first answer is still for that one.
    if (own && !this.#isShared && this.#isOwnAsked && this.#answers === 0) this.#posts.push(own)
    this.#isShared = true
    this.#posts.push(work)
    this.#unanswered++
    if (this.#answers === 0 && this.#unanswered > MOST_UNANSWERED)
      for (const post of this.#posts.splice(0)) post.succeed()
    return work
  }

  #refuse(work: OpenWork, error: unknown): void {
    const at = this.#posts.indexOf(work)
    if (at >= 0) this.#posts.splice(at, 1)
    this.#unanswered--
    work.fail({ reason: 'threw', failure: toFailure(error) })
  }

  #answered(): void {
    this.#answers++
    this.#unanswered = 0
    this.#posts.shift()?.succeed()
  }

  #ended(code: number): void {
    this.#settle(code)
    const { clock } = this.#deps
    const threadId = this.#threadId
    const failure = this.#error && toFailure(this.#error.thrown)
    processChannel.publish({ kind: 'thread_ended', at: clock.now(), threadId, code, ...(failure ? { failure } : {}) })
  }

  #settle(code: number): void {
    const error = this.#error
    const failure = error && toFailure(error.thrown)
    const open = this.#posts.splice(0)
    const isMemory = (error?.thrown as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
    const lost = {
      reason: 'worker_terminated',
      evidence: 'exit_record',
      exitCode: code,
      ...(failure ? { failure } : {}),
    } as const
    const hasThrown = failure && !isMemory
    if (this.#own && !open.includes(this.#own)) {
      if (hasThrown) this.#own.fail({ reason: 'threw', failure })
      // Ended by the app once it had answered: what it was started for is done.
      else if ((code === 0 && this.#hasBegun) || (!failure && this.#answers > 0)) this.#own.succeed()
      else this.#own.lose(lost)
    }
    // With one at work, it is that which threw; of several nobody can say.
    if (open.length === 1 && hasThrown) open[0]!.fail({ reason: 'threw', failure })
    else for (const work of open) work.lose(lost)
  }
}

/** No path, no code: the name that the app gave it is not to be had from outside on every Node. */
function nameOf(worker: Worker): string {
  const { threadName } = worker as { threadName?: unknown }
  return typeof threadName === 'string' && threadName && threadName !== 'WorkerThread' ? basename(threadName) : 'worker'
}
