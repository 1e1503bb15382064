import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import {
  environment,
  findLedgerDir,
  globalState,
  leaveUndelivered,
  loadSection,
  nameLedgerDir,
  say,
  type ConfigOf,
  type Core,
  type HealthProbe,
} from '@afterspan/core/internal'
import { watchChildren } from './handles/spawned-children.ts'
import { watchTimers } from './handles/timers.ts'
import { watchThreads } from './handles/worker-threads.ts'
import { integrations } from './integrations/index.gen.ts'
import { createLedgerProbe, type ToLedgerProbe } from './ledger-probe.ts'
import { createLedgerVotes, type ToldVotes } from './ledger-votes.ts'
import { trackerOptions } from './options.ts'
import { askReceipt } from './query/receipt-client.ts'
import { startRecorder } from './recorder.ts'
import type { FromPatrol } from './patrol/beside-app.ts'
import type { AskPatrol, SideData } from './side.ts'

/** Whether the trace context may travel in what the app gave to the queue; for queues that have no place for it. */
function carriesInData(integration: string, config: ConfigOf<typeof trackerOptions>): boolean {
  if (integration === 'pg-boss') return config.pgBossCarrier
  return integration !== 'graphile-worker' || config.graphileWorkerCarrier
}

/** The tracker's half on the main thread: integrations, journal, and the patrol named as a service of the side thread. */
export function bootTracker(core: Core, { bundleDir }: { readonly bundleDir: string }): void {
  const env = environment()
  const config = loadSection(trackerOptions, env)
  for (const integration of integrations)
    if (config.redisStreams || !integration.systems?.includes('redis-streams'))
      core.addIntegration(integration, carriesInData(integration.name, config))
  const place = findLedgerDir(nameLedgerDir(config.ledgerDir, env))
  if ('trouble' in place) {
    say(
      'AFS_LEDGER_DIR',
      `${place.trouble}. Outcomes are not kept, and what a killed process leaves open is not found; spans and metrics go on.`,
    )
    core.metrics.counter('afterspan_ledger_write_errors', 'Times that the journal could not be written.').add(1)
    return
  }
  const { dir } = place
  globalState().ledgerDir = dir
  const { key: own, timers } = startRecorder(core, dir, {
    tell: config.patrol !== 'off',
    spoolBytes: config.spoolMegabytes * 1024 * 1024,
  })
  if (config.patrol === 'off') leaveUndelivered(core, bundleDir)
  watchChildren(core)
  watchThreads(core)
  if (config.timers === 'late') watchTimers(timers, core)
  let begin = (): void => {}
  globalState().receipt = (traceId) => askReceipt(dir, traceId, config.patrol === 'off' ? undefined : begin)
  if (!isMainThread) return // the main thread's side thread patrols for all of them
  const data: SideData = {
    dir,
    otlp: core.otlp,
    serviceName: core.serviceName,
    isInline: config.patrol === 'inline',
    own,
    retentionDays: config.retentionDays,
    openDays: config.openDays,
    maxBytes: config.ledgerMegabytes * 1024 * 1024,
    ledgerUrl: config.ledgerUrl,
    webhookUrl: config.webhookUrl,
  }
  const probe = createLedgerProbe((message) => {
    link.post(message)
  }, core.clock)
  const votes = createLedgerVotes((message) => {
    link.post(message)
  })
  if (config.ledgerUrl !== '') globalState().castVote = votes.cast
  const link = core.sideService({ name: 'patrol', entry: join(bundleDir, 'side-patrol.js'), data }, (heard) => {
    const message = heard as FromPatrol | ToldVotes | ToLedgerProbe
    if (message.kind === 'incidents') for (const incident of message.incidents) core.report(incident)
    else if (message.kind === 'votes') votes.hear(message)
    // Where nobody is meant to patrol, that nobody does is no news.
    else if (probe.hear(message) === 'work' && config.patrol !== 'off') offer(probe)
  })
  begin = () => {
    core.wakeSideThread()
    link.post({ kind: 'patrol!' } satisfies AskPatrol)
  }
}

/** By the contract that apps use: health does not know the tracker. */
function offer(probe: HealthProbe): void {
  const { registerProbe, waitingProbes } = globalState()
  if (registerProbe) registerProbe(probe)
  else waitingProbes.push(probe)
}
