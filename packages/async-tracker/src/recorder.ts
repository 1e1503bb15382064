// Writes what the channels say into the journal, in the publisher's turn: an event is on its way to the disk before the work that
// it announces begins.
import {
  letPatrolTell,
  processChannel,
  requestChannel,
  say,
  taskChannel,
  type Core,
  type JournalEvent,
  type ProcessOpened,
} from '@afterspan/core/internal'
import { createFlightFile } from './journal/flight.ts'
import { JournalWriter } from './journal/writer.ts'
import { createSpool } from './patrol/spool.ts'
import { keyOf, ownWorkerRef } from './worker-ref.ts'

export interface Recorder {
  readonly writer: JournalWriter
}

/** `tell`: the patrol tells bad news, from the journal. */
export function startRecorder(core: Core, dir: string, tell: boolean): Recorder {
  const worker = ownWorkerRef(core.serviceName)
  const key = keyOf(worker)
  const opened = (): ProcessOpened => ({
    kind: 'opened',
    at: core.clock.now(),
    worker,
    resource: core.resource,
    sdkVersion: core.sdkVersion,
  })
  const onTrouble = (error: NodeJS.ErrnoException): void => {
    say(
      'AFS_JOURNAL_FAILED',
      `${dir}: ${error.code ?? ''} ${error.message}. Up to 10,000 events are kept in memory until it can be written again; afterspan_ledger_write_errors_total counts.`,
      error.code ?? 'error',
    )
  }
  const writer = new JournalWriter({
    dir,
    key,
    opened,
    onTrouble,
  })
  const flight = createFlightFile(dir, key, onTrouble)
  core.setFlightLog({
    open(request) {
      // Whoever reads the flight log must know the process: its journal says who it is.
      if (!writer.hasWritten) writer.open()
      return flight.open(request)
    },
    close: flight.close,
  })
  const record = (event: JournalEvent): void => {
    if (writer.append(event) || !('span' in event) || !event.span) return
    // Too large for the journal, or nowhere to be kept: then the process tells it itself, and the journal keeps the rest.
    const { span, ...rest } = event
    core.deliver(span)
    writer.append(rest)
  }
  taskChannel.subscribe((event) => {
    record(event as JournalEvent)
    core.wakeSideThread()
  })
  requestChannel.subscribe((event) => {
    record(event as JournalEvent)
  })
  processChannel.subscribe((event) => {
    if ((event as JournalEvent).kind === 'exiting') flight.remove()
    // A process that never wrote anything needs no journal to say that it ends.
    if (writer.hasWritten) record(event as JournalEvent)
  })
  letPatrolTell(tell)
  if (tell) core.setSpool(createSpool(dir, key))
  core.metrics.callback(() => [
    {
      name: 'afterspan_ledger_write_errors',
      type: 'counter',
      help: 'Times that the journal could not be written.',
      samples: [{ labels: {}, value: writer.errors }],
    },
    {
      name: 'afterspan_ledger_dropped_events',
      type: 'counter',
      help: 'Events that could not be kept: journal not writable, memory full.',
      samples: [{ labels: {}, value: writer.dropped }],
    },
  ])
  return { writer }
}
