// pg-boss (PostgreSQL). Everything inside it is private, so the waist is its public face, PgBoss.prototype. It has no place for
// headers: the carrier travels in the data of plain objects and is taken out wherever the app reads a job.
import type { Integration, TaskDraft } from '@afterspan/core/internal'
import { createFinder, SYSTEM, type Boss } from './pg-boss/boss.ts'
import { canCarry, withCarrier } from './pg-boss/carrier.ts'
import { patchEmptying } from './pg-boss/emptying.ts'
import { createExpiries } from './pg-boss/expiries.ts'
import { patchStop, type Patch } from './pg-boss/patch.ts'
import { patchUpdate } from './pg-boss/replacing.ts'
import { createRetention, patchQueues } from './pg-boss/retention.ts'
import { patchFetch, patchWork } from './pg-boss/running.ts'
import { patchFlow, patchInsert, patchPublish, patchSend, patchUpsert } from './pg-boss/sending.ts'
import { patchReaders, patchSettlers } from './pg-boss/settling.ts'
import { createTransactions } from './pg-boss/transaction.ts'

type Exports = { readonly PgBoss: { readonly prototype: object } }

const ours = new WeakSet<object>()

/** The integration of pg-boss. Without `carriesInData` nothing is added to a job's data, and attempts are joined by message id alone. */
export const pgBoss: Integration<Exports> = {
  name: 'pg-boss',
  module: 'pg-boss',
  // Before 12.4 a job has no signal: nobody would learn that its handler ran out of time.
  versions: '>=12.4.0 <13',
  systems: ['pg-boss'],
  replacesScopes: ['pg-boss'],
  patch({ PgBoss }, kit) {
    const boss = PgBoss.prototype as Boss
    // import and require may both bring it: there is one class.
    if (ours.has(boss.work)) return
    const isAllowed = kit.carriesInData !== false
    const put = isAllowed ? withCarrier : (data: unknown) => data
    const retention = createRetention()
    const draftOf = (queue: string, data: unknown, settings: unknown): TaskDraft => {
      const deadlineMs = retention.deadlineMsOf(queue, settings)
      const place = { system: SYSTEM, destination: queue, name: queue }
      const draft = deadlineMs === undefined ? place : { ...place, deadlineMs }
      return isAllowed && canCarry(data) ? draft : { ...draft, isFoundById: true }
    }
    const known = { held: new Map(), find: createFinder(boss) }
    const shared = { ...known, transactions: createTransactions(kit, known.find), watchExpiry: createExpiries(known) }
    const patch: Patch = { boss, kit, put, draftOf, ...shared }
    for (const step of [patchSend, patchUpsert, patchUpdate, patchInsert, patchFlow, patchPublish]) step(patch)
    patchQueues(patch, retention)
    for (const step of [patchStop, patchEmptying, patchSettlers, patchReaders, patchFetch, patchWork]) step(patch)
    ours.add(boss.work)
  },
}
