// Jobs that fetch() gave to the app, and that nobody has settled in time. pg-boss takes them back, or another process has settled them,
// and nobody says so here: the database is asked when their time is over.
import { LONGEST_TIMER_MS } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import { isObject } from '../sending/bag.ts'
import type { Find, Job } from './boss.ts'
import { FIRST_PAUSE_MS, type Expiry } from './expiry.ts'
import { errorOf, type Held, type Holding } from './held.ts'

/** pg-boss looks for such jobs once a minute, unless the app wants it otherwise: the pause between two questions doubles up to that. */
const LONGEST_PAUSE_MS = 60_000
const MOST_QUESTIONS = 15
const MOST_AT_ONCE = 100

/** Returns what has the attempt watched. One timer is for all of them, and holds no process. */
export function createExpiries({ held, find }: Holding): (attempt: Held) => void {
  let timer: NodeJS.Timeout | undefined
  let armedFor = Infinity
  const arm = (atMs: number): void => {
    if (atMs >= armedFor) return
    clearTimeout(timer)
    armedFor = atMs
    const waitMs = Math.min(Math.max(atMs - performance.now(), 0), LONGEST_TIMER_MS)
    timer = setTimeout(() => {
      void look() // never rejects: `ask` does not
    }, waitMs)
    timer.unref()
  }
  const look = async (): Promise<void> => {
    armedFor = Infinity
    const now = performance.now()
    const due = [...held.values()].filter(({ expiry }) => expiry && expiry.atMs <= now).slice(0, MOST_AT_ONCE)
    await Promise.all(due.map((attempt) => ask(find, attempt, attempt.expiry!)))
    let next = Infinity
    for (const { expiry } of held.values()) if (expiry && expiry.atMs < next) next = expiry.atMs
    arm(next)
  }
  return ({ expiry }) => {
    if (expiry) arm(expiry.atMs)
  }
}

async function ask(find: Find, attempt: Held, expiry: Expiry): Promise<void> {
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** expiry.questions, LONGEST_PAUSE_MS)
  expiry.atMs = ++expiry.questions < MOST_QUESTIONS ? performance.now() + pause : Infinity
  try {
    const row = await find(expiry.boss, expiry.queue, expiry.id)
    if (row) learn(attempt, expiry, row)
  } catch {
    // the app has stopped pg-boss, or the database is away: asked again
  }
}

function learn(attempt: Held, expiry: Expiry, row: Job): void {
  const state = row['state']
  // Another process has it, and has said so.
  if (attempt.info.attempt > 0 && Number(row['retryCount']) + 1 > attempt.info.attempt) expiry.atMs = Infinity
  else if (state === 'completed') attempt.succeed()
  else if (state === 'cancelled') attempt.fail(failureOf('cancelled', 'the job was cancelled'), 'cancelled')
  else if (state === 'failed' || state === 'retry') {
    const { value = row['output'] } = isObject(row['output']) ? row['output'] : {}
    if (isTimeOut(value)) attempt.giveUp(expired(expiry))
    else attempt.fail(errorOf(value))
  }
}

/** What pg-boss itself writes of a job that it takes back. */
function isTimeOut(output: unknown): boolean {
  return isObject(output) && /^job (?:heartbeat timeout|timed out)$/.test(String(output['message']))
}

function expired({ seconds }: Expiry): Error {
  return failureOf('expired', `nobody settled it within ${seconds}s`)
}

/** The same process has fetched the job again: pg-boss had taken it back. Returns when that is told, since the next attempt begins then. */
export async function endEarlier(attempt: Held | undefined): Promise<void> {
  if (!attempt?.expiry) return
  attempt.fail(expired(attempt.expiry), 'retrying')
  await attempt.told
}
