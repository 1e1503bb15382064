// What was last seen of each member's counters, in files of the group's folder: a member that is killed takes its counters with it,
// and a sum that goes backwards is a reset to Prometheus, which then counts everything a second time.
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { addTotals, overlay, type Totals } from './join.ts'
import { isPlaceName, socketPath, type Place } from './place.ts'
import { decodeSeen, encodeSeen, type Seen } from './snapshot.ts'

const SOCKET = '.sock'
const SEEN = '.seen'
const GONE = 'gone'
const HOLDER = 'holder'
const LOCK = 'folding'
/** So many files of members that are gone are made one. */
const MOST_FILES = 16
const LOCK_MS = 10_000
const IDLE_MS = 60_000

/** Ids of the members that have a socket, living or not. */
export function membersOf(dir: string): string[] {
  return ids(dir, SOCKET)
}

export function recall(dir: string, id: string): Totals | undefined {
  return read(dir, id)?.totals
}

/** Never throws: a full disk costs the memory of this scrape. */
export function remember({ dir, id: own }: Place, id: string, totals: Totals): void {
  write(dir, own, id, encodeSeen(totals))
}

/** Totals of all members that are gone. */
export function recallGone({ dir, id }: Place, living: ReadonlySet<string>): Totals[] {
  const folded = read(dir, GONE)
  const gone = ids(dir, SEEN).filter((name) => name !== GONE && !living.has(name) && !folded?.of.includes(name))
  const all = gone.map((name) => recall(dir, name)).filter((totals) => totals !== undefined)
  if (folded) all.push(folded.totals)
  if (gone.length > MOST_FILES) fold(dir, id, gone, folded, all)
  return all
}

export function forgetSocket(dir: string, id: string): void {
  rmSync(socketPath({ dir, id }), { force: true })
}

/** The first member of a group begins anew: what was there before it is of an earlier run, and ends with it as a restarted process's counters do. */
export function forget({ dir, id }: Place, names: readonly string[]): void {
  for (const name of names) if (!name.startsWith(`${id}.`)) rmSync(join(dir, name), { force: true })
}

/** Folders of other groups that nobody has touched for a minute: a few, others each time. With port 0 every process has a folder of its own, and one that is killed leaves it. */
export function idleFolders({ dir }: Place, most: number, now: number): string[] {
  const root = dirname(dir)
  const others = list(root)
    .filter(isPlaceName)
    .map((name) => join(root, name))
  const from = Math.floor(now) % Math.max(1, others.length)
  return [...others.slice(from), ...others.slice(0, from)]
    .slice(0, most)
    .filter((path) => path !== dir && now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now) > IDLE_MS)
}

/** The folder goes if nothing but these is in it. */
export function removeFolder(path: string, names: readonly string[]): void {
  try {
    for (const name of names) rmSync(join(path, name), { force: true })
    rmdirSync(path)
  } catch {
    // somebody has just come, or it is no folder of ours
  }
}

/** The member whose admin listener has the port. */
export function portHolder(dir: string): string {
  try {
    return readFileSync(join(dir, HOLDER), 'utf8')
  } catch {
    return ''
  }
}
export function holdPort({ dir, id }: Place): void {
  try {
    writeFileSync(join(dir, HOLDER), id, { mode: 0o600 })
  } catch {
    // the others say that their port is busy
  }
}

/** At the end of a process or thread; synchronous. Where nobody else is there, nothing stays. */
export function leave({ dir, id }: Place, totals: () => Totals): void {
  const names = list(dir)
  if (names.length === 0) return
  forgetSocket(dir, id)
  if (names.some((name) => name.endsWith(SOCKET) && name !== `${id}${SOCKET}`)) {
    write(dir, id, id, encodeSeen(overlay(recall(dir, id) ?? [], totals())))
    return
  }
  removeFolder(dir, names)
}

function fold(
  dir: string,
  own: string,
  gone: readonly string[],
  folded: Seen | undefined,
  all: readonly Totals[],
): void {
  const lock = join(dir, LOCK)
  try {
    closeSync(openSync(lock, 'wx'))
  } catch {
    if (Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > LOCK_MS)
      rmSync(lock, { force: true })
    return
  }
  try {
    // Named in the new file before theirs are removed: whoever reads in between counts none of them twice.
    const stillThere = (folded?.of ?? []).filter((id) => read(dir, id) !== undefined)
    if (write(dir, own, GONE, encodeSeen(addTotals(all), [...stillThere, ...gone])))
      for (const id of gone) rmSync(join(dir, id + SEEN), { force: true })
  } finally {
    rmSync(lock, { force: true })
  }
}

function read(dir: string, id: string): Seen | undefined {
  try {
    return decodeSeen(readFileSync(join(dir, id + SEEN)))
  } catch {
    return undefined
  }
}

function write(dir: string, own: string, id: string, bytes: Buffer): boolean {
  const temporary = join(dir, `${own}.${id}.tmp`)
  try {
    writeFileSync(temporary, bytes, { mode: 0o600 })
    renameSync(temporary, join(dir, id + SEEN))
    return true
  } catch {
    rmSync(temporary, { force: true })
    return false
  }
}

function ids(dir: string, suffix: string): string[] {
  return list(dir)
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
}

/** Names of all files of the group. */
export function list(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch {
    return []
  }
}
