import { existsSync } from 'node:fs'
import { askPatrol, PatrolService, trackerOptions, type Answer } from '@afterspan/async-tracker/internal'
import {
  AfterspanError,
  environment,
  loadConfig,
  loadSection,
  nameLedgerDir,
  openLedgerDir,
  otlpSettings,
  say,
  systemClock,
} from '@afterspan/core/internal'

/** The ledger folder that the command line speaks of: `--dir`, else what the preload would take. */
export function ledgerFolder(given: string | boolean | undefined): string {
  const env = environment()
  const config = loadSection(trackerOptions, env)
  const place = openLedgerDir(nameLedgerDir(typeof given === 'string' ? given : config.ledgerDir, env))
  if ('trouble' in place) throw new AfterspanError('AFS_LEDGER_DIR', place.trouble)
  return place.dir
}

/** The same, to be read: one that is named and is not there holds nothing, and is not made. With PostgreSQL it holds no more than a name. */
export function knownFolder(given: string | boolean | undefined): string {
  const { ledgerDir, ledgerUrl } = loadSection(trackerOptions, environment())
  if (typeof given === 'string' && given) return there(given, given)
  if (ledgerDir && !ledgerUrl) return there(ledgerDir, `AFTERSPAN_LEDGER_DIR=${ledgerDir}`)
  return ledgerFolder(given)
}

function there(dir: string, named: string): string {
  if (!existsSync(dir)) throw new AfterspanError('AFS_LEDGER_DIR', `${named} is not there: nothing was kept in it`)
  return ledgerFolder(dir)
}

/** A patrol of this process's own. */
export function ownPatrol(dir: string): PatrolService {
  const { retentionDays, openDays, ledgerMegabytes, ledgerUrl, webhookUrl } = loadSection(trackerOptions)
  const settings = {
    dir,
    otlp: otlpSettings(loadConfig()),
    serviceName: 'afterspan',
    retentionDays,
    openDays,
    maxBytes: ledgerMegabytes * 1024 * 1024,
    ledgerUrl,
    webhookUrl,
  }
  return new PatrolService(settings, systemClock, say)
}

function unanswered(dir: string): string {
  const { ledgerUrl } = loadSection(trackerOptions)
  return ledgerUrl ? 'the ledger of AFTERSPAN_LEDGER_URL does not answer' : `nobody answers for ${dir}`
}

const MOST_READING_MS = 60_000

/** Asks whoever patrols the folder; where nobody does (everything is dead), takes the lock, reads all that is there and answers. */
export async function askLedger(dir: string, path: string, query: URLSearchParams): Promise<Answer> {
  const given = await askPatrol(dir, `${path}?${query.toString()}`)
  if (given) return given
  const service = ownPatrol(dir)
  try {
    // One sweep reads for a second: what it had not come to yet looked as if it were still open.
    const until = performance.now() + MOST_READING_MS
    while ((await service.tick())?.hasMore && performance.now() < until);
    if (service.patrol) return await service.ask(path, query)
    // Somebody took the lock between the two: ask it.
    return (
      (await askPatrol(dir, `${path}?${query.toString()}`)) ?? {
        status: 503,
        body: { error: unanswered(dir) },
      }
    )
  } finally {
    await service.stop()
  }
}
