import { UsageError, type Command } from '../command.ts'
import { ledgerFolder, ownPatrol } from '../ledger-question.ts'
import { servePatrol } from '../patrol-endpoint.ts'

const LOOK_MS = 1_000

export const patrol: Command = {
  name: 'patrol',
  summary: 'patrols a ledger folder, as a process of its own',
  usage: '[--once] [--json] [--port N] [--dir FOLDER]',
  details: [
    'Reads journals, finds the dead, tells what they lost. Set AFTERSPAN_PATROL=external for the apps beside it. Until SIGTERM or SIGINT.',
    '',
    '  --once        one sweep, then exit',
    '  --json        what each sweep found, as JSON',
    '  --port N      serves /metrics, /tasks and /receipt/<traceId> there: no app counts tasks, and what became of requests, beside it',
    '  --dir FOLDER  the ledger folder',
  ].join('\n'),
  options: { once: { type: 'boolean' }, json: { type: 'boolean' }, port: { type: 'string' }, dir: { type: 'string' } },
  async run({ values, print, complain }) {
    const port = portOf(values['port'])
    const dir = ledgerFolder(values['dir'])
    const service = ownPatrol(dir)
    if (values['once']) {
      const summary = await service.tick(Infinity)
      await service.stop()
      if (!summary) {
        complain(
          service.hasFailed
            ? `afterspan patrol: ${dir} could not be swept`
            : `afterspan patrol: ${dir} is patrolled by another process`,
        )
        return 1
      }
      print(
        values['json']
          ? JSON.stringify(summary)
          : `read ${summary.ingested} events, looked at ${summary.examined} processes: ${summary.lost} lost, ${summary.reported} told`,
      )
      return 0
    }
    service.start()
    const endpoint = port === undefined ? undefined : servePatrol(service, port)
    await untilStopped((isFirst) => {
      if (isFirst)
        print(
          service.patrol
            ? `afterspan: patrols ${dir}`
            : `afterspan: ${dir} is patrolled by another process; waiting to take over`,
        )
    })
    await endpoint?.stop()
    await service.stop()
    return 0
  },
}

function portOf(given: string | boolean | undefined): number | undefined {
  if (typeof given !== 'string') return undefined
  if (!/^\d{1,5}$/.test(given) || Number(given) > 65_535)
    throw new UsageError(`--port ${JSON.stringify(given)}: allowed is a number from 0 to 65535`)
  return Number(given)
}

/** Keeps the process, and resolves at the first signal to end. */
function untilStopped(look: (isFirst: boolean) => void): Promise<void> {
  return new Promise((resolve) => {
    let isFirst = true
    const timer = setInterval(() => {
      look(isFirst)
      isFirst = false
    }, LOOK_MS)
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        clearInterval(timer)
        resolve()
      })
  })
}
