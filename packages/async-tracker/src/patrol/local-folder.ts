import { statfsSync } from 'node:fs'

/** File systems of one kernel alone: ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS. On any other a shut door may be another machine's. */
const LOCAL: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1])

export function isLocalFolder(dir: string): boolean {
  try {
    return LOCAL.has(statfsSync(dir).type)
  } catch {
    return false
  }
}
