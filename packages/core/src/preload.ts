import { boot } from './boot.ts'

export function preload(bundleDir: string): void {
  boot({ bundleDir })?.start()
}
