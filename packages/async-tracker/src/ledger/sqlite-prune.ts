// What is too old or too much goes.
import type { DatabaseSync } from 'node:sqlite'
import type { EpochMs } from '@afterspan/core/internal'

export function pruneSqlite(db: DatabaseSync, before: EpochMs, maxBytes: number): number {
  let removed = Number(db.prepare('DELETE FROM task WHERE settled_at < ?').run(before).changes)
  db.prepare(
    'DELETE FROM request WHERE at < ? AND NOT EXISTS (SELECT 1 FROM task WHERE request_key = request.key)',
  ).run(before)
  db.prepare('DELETE FROM process WHERE dead_at < ?').run(before)
  db.exec('DELETE FROM joined WHERE NOT EXISTS (SELECT 1 FROM task WHERE task_id = joined.task_id)')
  const bytes = (): number => {
    const { page_count: pages } = db.prepare('PRAGMA page_count').get() as { page_count: number }
    const { freelist_count: free } = db.prepare('PRAGMA freelist_count').get() as { freelist_count: number }
    const { page_size: size } = db.prepare('PRAGMA page_size').get() as { page_size: number }
    return (pages - free) * size
  }
  for (const states of ["'succeeded', 'cancelled'", "'failed', 'lost'"]) {
    while (bytes() > maxBytes) {
      const some = `SELECT task_id FROM task WHERE state IN (${states}) ORDER BY spawned_at LIMIT 1000`
      const { changes } = db.prepare(`DELETE FROM task WHERE task_id IN (${some})`).run()
      if (Number(changes) === 0) break
      removed += Number(changes)
      db.exec('DELETE FROM request WHERE NOT EXISTS (SELECT 1 FROM task WHERE request_key = request.key)')
    }
  }
  db.exec('PRAGMA incremental_vacuum')
  return removed
}
