import { boot } from './boot.ts'
import { say } from './diag.ts'

export function preload(bundleDir: string): void {
  try {
    boot({ bundleDir })?.start()
  } catch (error) {
    say(
      'AFS_BOOT_FAILED',
      `Afterspan could not start: ${error instanceof Error ? error.message : String(error)}. The app runs without it.`,
    )
  }
}
