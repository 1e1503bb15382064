// Writes what the channels say into the journal, in the publisher's turn: an event is on its way to the disk before the work that
// it announces begins.
import {
  droppedSpans,
  isSettling,
  letPatrolTell,
  processChannel,
  requestChannel,
  say,
  taskChannel,
  type Core,
  type JournalEvent,
  type MetricFamily,
  type ProcessEvent,
  type ProcessOpened,
  type WorkerRef,
} from '@afterspan/core/internal'
import { createDoor } from './door.ts'
import { createHealthLog } from './health-log.ts'
import { createFlightFile } from './journal/flight.ts'
import { keptResource } from './journal/kept-resource.ts'
import { listKeys } from './journal/segment.ts'
import { createSpanFiles } from './journal/span-file.ts'
import { createTimerFile, type TimerFile } from './journal/timer-file.ts'
import { JournalWriter } from './journal/writer.ts'
import { keyOf, ownWorkerRef } from './worker-ref.ts'

export interface Recorder {
  /** Name of its journal. */
  readonly key: string
  readonly writer: JournalWriter
  readonly timers: Pick<TimerFile, 'note' | 'over'>
}

/** `tell`: the patrol tells bad news, from the journal, and what waits in the spool, of at most `spoolBytes`. */
export function startRecorder(
  core: Core,
  dir: string,
  { tell, spoolBytes }: { readonly tell: boolean; readonly spoolBytes: number },
): Recorder {
  const worker = ownWorkerRef(core.serviceName)
  const key = keyOf(worker)
  const onTrouble = (error: NodeJS.ErrnoException): void => {
    sayTrouble(dir, error)
  }
  const holdDoor = createDoor(dir, key)
  const opened = (): JournalEvent => {
    holdDoor() // before the first event is written: nothing is promised by a process whose death could not be told
    return openedBy(core, worker)
  }
  const writer = new JournalWriter({ dir, key, opened, onTrouble })
  const flight = createFlightFile(dir, key, onTrouble)
  const timers = createTimerFile(dir, key, onTrouble)
  // Whoever reads what is noted of a process must know it: its journal says who it is.
  const introduce = (): void => {
    if (!writer.hasWritten) writer.open()
  }
  core.setFlightLog({
    open(request) {
      introduce()
      return flight.open(request)
    },
    close: flight.close,
    release: flight.release,
  })
  core.setHealthLog(createHealthLog(dir, worker, core.clock.now))
  keepWhatIsSaid(core, dir, writer, createRecord(core, writer, tell))
  processChannel.subscribe((event) => {
    const { kind } = event as ProcessEvent
    if (kind === 'crashed' || kind === 'exiting') writer.writeLast()
    if (kind !== 'exiting') return
    flight.remove()
    timers.remove()
  })
  letPatrolTell(tell)
  const isKnown = (): boolean => writer.hasWritten
  const spool = { dir, key, maxBytes: spoolBytes, isKnown, beforeGone: flight.emptyReleased }
  if (tell) core.setSpool(createSpanFiles({ ...spool, onDropped: countDropped(core) }))
  core.metrics.callback(() => trouble(writer))
  return {
    key,
    writer,
    timers: {
      note(event) {
        introduce()
        return timers.note(event)
      },
      over: timers.over,
    },
  }
}

function keepWhatIsSaid(core: Core, dir: string, writer: JournalWriter, record: (event: JournalEvent) => void): void {
  taskChannel.subscribe((event) => {
    record(event as JournalEvent)
    core.wakeSideThread()
  })
  requestChannel.subscribe((event) => {
    record(event as JournalEvent)
  })
  processChannel.subscribe((event) => {
    // A process that never wrote anything needs no journal to say that it ends.
    if (writer.hasWritten || isNewsOf(dir, event as ProcessEvent)) record(event as JournalEvent)
  })
}

function trouble({ errors, dropped }: JournalWriter): MetricFamily[] {
  return [
    counter('afterspan_ledger_write_errors', 'Times that the journal could not be written.', errors),
    counter(
      'afterspan_ledger_dropped_events',
      'Events that could not be kept: journal not writable, memory full.',
      dropped,
    ),
  ]
}

function countDropped({ metrics }: Core): (spans: number) => void {
  return (spans) => {
    droppedSpans(metrics).add(spans, 'spool_full')
    say('AFS_EXPORT_FAILED', 'the spool on disk is full: what waits longest is dropped, errors last.', 'spool_full')
  }
}

/** A thread that has a journal is gone; or what others have sent. */
function isNewsOf(dir: string, event: ProcessEvent): boolean {
  if (event.kind === 'emptied') return true
  return event.kind === 'thread_ended' && listKeys(dir).some((key) => key.endsWith(`.${event.threadId}`))
}

function createRecord(core: Core, writer: JournalWriter, tell: boolean): (event: JournalEvent) => void {
  return (event) => {
    const isKept = writer.append(event, isSettling())
    // While the journal is in trouble, each process tells its own failures.
    letPatrolTell(tell && writer.isOpen)
    if (isKept || !('span' in event) || !event.span) return
    // Too large for the journal, or nowhere to be kept: the process tells it itself, and the journal keeps the rest.
    const { span, ...rest } = event
    core.deliver(span)
    writer.append({ ...rest, isTold: true })
  }
}

function openedBy({ clock, resource, sdkVersion }: Core, worker: WorkerRef): ProcessOpened {
  return { kind: 'opened', at: clock.now(), worker, resource: keptResource(resource), sdkVersion }
}

function sayTrouble(dir: string, { code = 'error', message }: NodeJS.ErrnoException): void {
  const what = message.startsWith(code) ? message : `${code} ${message}`
  const text = `${dir}: ${what}. Up to 10,000 events are kept in memory until it can be written again; afterspan_ledger_write_errors_total counts.`
  say('AFS_JOURNAL_FAILED', text, code)
}

function counter(name: string, help: string, value: number): MetricFamily {
  return { name, type: 'counter', help, samples: [{ labels: {}, value }] }
}
