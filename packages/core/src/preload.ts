import { boot } from './boot.ts'
import { environment, loadSection } from './config/load.ts'
import { spoolOptions } from './config/spool-options.ts'
import type { Core } from './core.ts'
import { say } from './diag.ts'
import { fnv } from './fnv.ts'
import { nameLedgerDir } from './ledger-dir.ts'
import { lazyUndelivered } from './spool/undelivered.ts'

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

/** Core alone has no patrol: what it cannot deliver is left to the next process with the same collector. */
function leaveUndelivered(core: Core, bundleDir: string): void {
  const env = environment()
  const { ledgerDir, spoolMegabytes } = loadSection(spoolOptions, env)
  const dir = nameLedgerDir(ledgerDir, env)
  if (!core.otlp || dir === undefined) return
  const { url, headers, protocol = '' } = core.otlp
  const dropped = core.metrics.counter('afterspan_spans_dropped', 'Spans that were not delivered, by reason.', [
    'reason',
  ])
  const settings = {
    dir,
    collector: fnv(JSON.stringify([url, headers, protocol])),
    maxBytes: spoolMegabytes * 1024 * 1024,
    onDropped(spans: number) {
      dropped.add(spans, 'spool_full')
    },
  }
  core.setUndelivered(lazyUndelivered(bundleDir, settings))
}
