import type { Receipt } from '@afterspan/core'
import { UsageError, type Command } from '../command.ts'
import { askLedger, knownFolder } from '../ledger-question.ts'
import { receiptText } from '../receipt-text.ts'
import { traceIdIn } from '../trace-id.ts'

export const receipt: Command = {
  name: 'receipt',
  summary: 'what became of one request: the trace id tells which',
  usage: '<traceId> [--json] [--dir FOLDER]',
  details: [
    'Shows the request of a trace, what it promised, and how each promise ended. The trace id stands in the',
    'response header `traceresponse`, and on every span in Jaeger.',
    '',
    '  --json        the receipt as JSON',
    '  --dir FOLDER  the ledger folder (default: AFTERSPAN_LEDGER_DIR, else the state folder of the user)',
    '',
    'Exit code 1: the ledger does not know the trace.',
  ].join('\n'),
  takesWords: true,
  options: { json: { type: 'boolean' }, dir: { type: 'string' } },
  async run({ values, positionals, print, complain }) {
    const [given, ...more] = positionals
    if (given === undefined || more.length > 0) throw new UsageError('one trace id is needed')
    const traceId = traceIdIn(given)
    const { status, body } = await askLedger(knownFolder(values['dir']), `/receipt/${traceId}`, new URLSearchParams())
    if (status !== 200) {
      complain(`afterspan receipt: ${(body as { error?: string }).error ?? status}`)
      return 1
    }
    const found = body as Receipt
    print(values['json'] ? JSON.stringify(found, null, 2) : receiptText(found))
    return found.verdict === 'unknown' ? 1 : 0
  },
}
