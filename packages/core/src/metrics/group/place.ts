// Where the processes and threads of one service on one host find each other: a folder of sockets, one for each, in the system's
// folder for temporary files. It is only ours (0700), or it is not used.
import { join } from 'node:path'
import { getEnvironmentData, isMainThread, threadId } from 'node:worker_threads'
import type { ResourceAttributes } from '../../contracts/task.ts'
import { fnv } from '../../fnv.ts'
import { isOurs, ownFolder } from '../../own-folder.ts'

/** Plain data: it crosses to the side thread. */
export interface Place {
  readonly dir: string
  readonly id: string
  readonly pid: number
  readonly threadId: number
}

/** A socket's path has 108 bytes, and macOS has 104. */
const LONGEST_PATH = 100

/**
 * Undefined where there is nothing to share by: Windows, a folder that others may write to. Processes with the same service name
 * and the same admin address are one group; with port 0 each has an address of its own, and only a parent and the children it
 * forked (cluster) belong together.
 */
export function findPlace(
  resource: ResourceAttributes,
  admin: { readonly host: string; readonly port: number },
): Place | undefined {
  const root = ownFolder()
  if (root === undefined) return undefined
  const service = String(resource['service.name'])
  const key = [
    service,
    String(resource['service.namespace'] ?? ''),
    admin.host,
    String(admin.port),
    admin.port === 0 ? String(ownFamily()) : '',
    service.startsWith('unknown_service') ? process.cwd() : '',
  ]
  const dir = join(root, fnv(JSON.stringify(key)).slice(4))
  const id = `${process.pid}-${threadId}-${String(resource['service.instance.id']).slice(0, 8)}`
  if (!/^[\w-]+$/.test(id) || Buffer.byteLength(socketPath({ dir, id })) > LONGEST_PATH) return undefined
  return { dir, id, pid: process.pid, threadId }
}

/** What else is in the user's own folder is no group's. */
export function isPlaceName(name: string): boolean {
  return /^[0-9a-f]{12}$/.test(name)
}

/** Worker threads have it from the main thread: they do not know whether their process was forked. */
export const FAMILY_KEY = 'afterspan.family'

/** The process whose children, if it forks any, are one with it. */
export function ownFamily(): number {
  const told = isMainThread ? undefined : getEnvironmentData(FAMILY_KEY)
  if (typeof told === 'number') return told
  return process.channel ? process.ppid : process.pid
}

/** Whether the folder is there and only ours. */
export function openPlace({ dir }: Place): boolean {
  try {
    return [join(dir, '..'), dir].every(isOurs)
  } catch {
    return false
  }
}

export function socketPath({ dir, id }: { readonly dir: string; readonly id: string }): string {
  return join(dir, `${id}.sock`)
}
