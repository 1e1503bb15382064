// A server and all its children, found by /proc: PostgreSQL answers from its children, so that stopping the postmaster alone freezes nothing.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** The process and all below it, parents first. Empty when it is gone. */
export function processTree(pid) {
  const below = new Map()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const parent = statOf(Number(entry))?.parent
    if (parent !== undefined) below.set(parent, [...(below.get(parent) ?? []), Number(entry)])
  }
  if (!statOf(pid)) return []
  const tree = [pid]
  for (const known of tree) tree.push(...(below.get(known) ?? []))
  return tree
}

/** SIGSTOP to the whole tree; resolves when all of it stands still. Again and again, since a child may be born meanwhile. */
export async function freezeTree(pid, timeoutMs = 5_000) {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const moving = processTree(pid).filter((p) => !/[TtZ]/.test(statOf(p)?.state ?? 'Z'))
    if (moving.length === 0) return
    if (performance.now() > deadline) throw new Error(`still moving after SIGSTOP: ${moving.join(', ')}`)
    for (const p of moving) send(p, 'SIGSTOP')
    await delay(2)
  }
}

/** Children first, so that none is waited for by a parent that already runs. */
export function thawTree(pid) {
  for (const p of processTree(pid).reverse()) send(p, 'SIGCONT')
}

/** SIGKILL reaches frozen processes too. */
export function killTree(pid) {
  for (const p of processTree(pid)) send(p, 'SIGKILL')
}

/** The same, and resolves when none of them holds anything any more. */
export async function endTree(pid, timeoutMs = 5_000) {
  const tree = processTree(pid)
  for (const p of tree) send(p, 'SIGKILL')
  const deadline = performance.now() + timeoutMs
  while (tree.some((p) => (statOf(p)?.state ?? 'Z') !== 'Z')) {
    if (performance.now() > deadline) throw new Error(`still there after SIGKILL: some of ${tree.join(', ')}`)
    await delay(2)
  }
}

function send(pid, signal) {
  try {
    process.kill(pid, signal)
  } catch {
    // gone since we looked
  }
}

/** State and parent of a process; the name before them is in brackets and may hold anything. */
function statOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { parent: Number(parent), state }
  } catch {
    return undefined
  }
}
