import type { TaskId } from '@afterspan/core/internal'

/** All that hang below these tasks among those that wait for their parent. */
export function descendants(ids: readonly TaskId[], orphans: ReadonlyMap<TaskId, readonly TaskId[]>): Set<TaskId> {
  const found = new Set<TaskId>()
  const parents = [...ids]
  for (const parent of parents)
    for (const child of orphans.get(parent) ?? [])
      if (!found.has(child)) {
        found.add(child)
        parents.push(child)
      }
  return found
}
