const NOTHING = {}

/** Whether the app, or a library of it, has put something on Object.prototype, which a loop over any object then finds. Asked first, since to ask for each name is felt. */
export function hasNamesOfAll(): boolean {
  for (const _ in NOTHING) return true
  return false
}
