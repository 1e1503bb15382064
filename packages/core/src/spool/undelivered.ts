import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { requireKept } from '../code-cache.ts'
import { environment, loadSection } from '../config/load.ts'
import { spoolOptions } from '../config/spool-options.ts'
import type { Undelivered } from '../contracts/undelivered.ts'
import type { Core } from '../core.ts'
import { say } from '../diag.ts'
import { fnv } from '../fnv.ts'
import { nameLedgerDir } from '../ledger-dir.ts'
import { once } from '../once.ts'
import { droppedSpans } from '../sdk/otlp/dropped-spans.ts'
import type { createUndelivered, UndeliveredSettings } from './undelivered-files.ts'

/** For a process that leaves nothing to a patrol: what it cannot deliver is left to the next one with the same collector. */
export function leaveUndelivered(core: Core, bundleDir: string): void {
  const env = environment()
  const { ledgerDir, spoolMegabytes } = loadSection(spoolOptions, env)
  const dir = nameLedgerDir(ledgerDir, env)
  if (!core.otlp || dir === undefined) return
  const { url, headers, protocol = '' } = core.otlp
  const dropped = droppedSpans(core.metrics)
  const settings = {
    dir,
    collector: fnv(JSON.stringify([url, headers, protocol])),
    maxBytes: spoolMegabytes * 1024 * 1024,
    onDropped(spans: number) {
      dropped.add(spans, 'spool_full')
      sayFull()
    },
    onNoRoom: sayFull,
  }
  core.setUndelivered(lazyUndelivered(bundleDir, settings))
}

function sayFull(): void {
  say('AFS_EXPORT_FAILED', 'the spool on disk is full: what waits longest is dropped, errors last.', 'spool_full')
}

/** Loaded by the first thing that is left behind or found: most processes never have either. */
function lazyUndelivered(bundleDir: string, settings: UndeliveredSettings): Undelivered {
  const load = once(() => {
    const files = requireKept(join(bundleDir, 'undelivered.js')) as { createUndelivered: typeof createUndelivered }
    return files.createUndelivered(settings)
  })
  return {
    keep: (request, what) => load().keep(request, what),
    take: (mostBytes) =>
      existsSync(join(settings.dir, 'undelivered', settings.collector)) ? load().take(mostBytes) : [],
  }
}
