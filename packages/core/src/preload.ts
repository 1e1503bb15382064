import { boot } from './boot.ts'
import { say } from './diag.ts'
import { leaveUndelivered } from './spool/undelivered.ts'

export function preload(bundleDir: string): void {
  try {
    const core = boot({ bundleDir })
    if (!core) return
    leaveUndelivered(core, bundleDir)
    core.start()
  } catch (error) {
    say(
      'AFS_BOOT_FAILED',
      `Afterspan could not start: ${error instanceof Error ? error.message : String(error)}. The app runs without it.`,
    )
  }
}
