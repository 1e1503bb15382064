import { bootTracker, trackerOptions } from '@afterspan/async-tracker/internal'
import { boot, coreOptions, say, sayUnknown } from '@afterspan/core/internal'
import { bootHealth, healthOptions } from '@afterspan/health/internal'

/** Boots everything, in order: telemetry, then what watches work, then what watches dependencies. A part that cannot start is said and left out. */
export function preload(bundleDir: string): void {
  const core = boot({ bundleDir })
  if (!core) return
  const options = [coreOptions, trackerOptions, healthOptions].flatMap((section) => Object.values(section))
  sayUnknown(options.map(({ env }) => env))
  part('async-tracker', () => bootTracker(core, { bundleDir }))
  part('health', () => bootHealth(core, { bundleDir }))
  part('the start', () => core.start())
}

function part(name: string, start: () => void): void {
  try {
    start()
  } catch (error) {
    say(
      'AFS_BOOT_FAILED',
      `${name} could not start: ${error instanceof Error ? error.message : String(error)}. The app runs without it.`,
      name,
    )
  }
}
