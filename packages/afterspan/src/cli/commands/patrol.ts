import type { Command } from '../command.ts'
import { ledgerFolder, ownPatrol } from '../ledger-question.ts'

const LOOK_MS = 1_000

export const patrol: Command = {
  name: 'patrol',
  summary: 'patrols a ledger folder, as a process of its own',
  usage: '[--once] [--json] [--dir FOLDER]',
  details: [
    'Reads journals, finds the dead, tells what they lost. Set AFTERSPAN_PATROL=external for the apps beside it. Until SIGTERM or SIGINT.',
    '',
    '  --once        one sweep, then exit',
    '  --json        what each sweep found, as JSON',
    '  --dir FOLDER  the ledger folder',
  ].join('\n'),
  options: { once: { type: 'boolean' }, json: { type: 'boolean' }, dir: { type: 'string' } },
  async run({ values, print, complain }) {
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
    await untilStopped((isFirst) => {
      if (isFirst)
        print(
          service.patrol
            ? `afterspan: patrols ${dir}`
            : `afterspan: ${dir} is patrolled by another process; waiting to take over`,
        )
    })
    await service.stop()
    return 0
  },
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
