// One example of each move that a task can make.
import {
  cancelled,
  confirmed,
  failed,
  lost,
  neverEnqueued,
  OTHER_WORKER,
  released,
  settledCancelled,
  settledFailed,
  settledLost,
  spawned,
  started,
  succeeded,
  tell,
  WEB,
  WORKER,
  type Told,
} from './sample-events.ts'

export interface Move {
  readonly before: readonly Told[]
  readonly next: readonly Told[]
}

const PENDING = tell(WEB, spawned(1))
const ENQUEUED = [...PENDING, ...tell(WEB, confirmed(2))]
const RUNNING = [...ENQUEUED, ...tell(WORKER, started(3, 1))]
const RETRYING = [...RUNNING, ...tell(WORKER, failed(4, 1, { willRetry: true }))]
const FAILED = [...RUNNING, ...tell(WORKER, failed(4, 1))]
const LOST = [...RUNNING, ...tell('patrol', lost(10, 1))]
const TAKEN_UP = [...LOST, ...tell(OTHER_WORKER, started(11, 2))]

/** 'pending → enqueued' and so on. */
export const MOVES: Readonly<Record<string, Move>> = {
  'pending → enqueued': { before: PENDING, next: tell(WEB, confirmed(2)) },
  'pending → running': { before: PENDING, next: tell(WORKER, started(2, 1)) },
  'pending → cancelled': { before: PENDING, next: tell(WEB, cancelled(2, 99, { reason: 'deduplicated' })) },
  'pending → failed': { before: PENDING, next: tell(WEB, settledFailed(2, { reason: 'unroutable' })) },
  'pending → lost': { before: PENDING, next: tell('patrol', neverEnqueued(2)) },
  'enqueued → running': { before: ENQUEUED, next: tell(WORKER, started(3, 1)) },
  'enqueued → failed': { before: ENQUEUED, next: tell(WEB, settledFailed(3, { reason: 'expired' })) },
  'enqueued → cancelled': { before: ENQUEUED, next: tell(WEB, settledCancelled(3)) },
  'enqueued → lost': { before: ENQUEUED, next: tell(WEB, settledLost(3)) },
  'enqueued → succeeded': {
    before: [...TAKEN_UP, ...tell(OTHER_WORKER, released(12, 2))],
    next: tell(WORKER, succeeded(13, 1)),
  },
  'running → succeeded': { before: RUNNING, next: tell(WORKER, succeeded(4, 1)) },
  'running → retrying': { before: RUNNING, next: tell(WORKER, failed(4, 1, { willRetry: true })) },
  'running → failed': { before: RUNNING, next: tell(WORKER, failed(4, 1)) },
  'running → cancelled': { before: RUNNING, next: tell(WORKER, cancelled(4, 1)) },
  'running → enqueued': { before: RUNNING, next: tell(WORKER, released(4, 1)) },
  'running → lost': { before: RUNNING, next: tell('patrol', lost(10, 1)) },
  'retrying → running': { before: RETRYING, next: tell(OTHER_WORKER, started(5, 2)) },
  'retrying → failed': { before: RETRYING, next: tell(WEB, settledFailed(5)) },
  'retrying → cancelled': { before: RETRYING, next: tell(WEB, settledCancelled(5)) },
  'retrying → lost': { before: RETRYING, next: tell(WEB, settledLost(5)) },
  'retrying → succeeded': {
    before: [...TAKEN_UP, ...tell(OTHER_WORKER, failed(12, 2, { willRetry: true }))],
    next: tell(WORKER, succeeded(13, 1)),
  },
  'failed → cancelled': { before: FAILED, next: tell(WORKER, cancelled(9, 1, { reason: 'handled' })) },
  'failed → running': { before: FAILED, next: tell(OTHER_WORKER, started(9, 2, { isReturn: true })) },
  'cancelled → running': {
    before: [...ENQUEUED, ...tell(WEB, settledCancelled(3, { isPresumed: true }))],
    next: tell(WORKER, started(9, 2)),
  },
  'lost → running': { before: LOST, next: tell(OTHER_WORKER, started(11, 2)) },
  'lost → succeeded': { before: LOST, next: tell(WORKER, succeeded(11, 1)) },
  'lost → failed': { before: LOST, next: tell(WORKER, failed(11, 1)) },
  'lost → cancelled': { before: LOST, next: tell(WORKER, cancelled(11, 1)) },
  'lost → enqueued': { before: LOST, next: tell(WORKER, released(11, 1)) },
  'lost → retrying': { before: LOST, next: tell(WORKER, failed(11, 1, { willRetry: true })) },
}
