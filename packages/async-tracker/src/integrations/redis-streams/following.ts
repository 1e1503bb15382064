// The one place through which all commands go: single ones, pipelines, transactions, a cluster's. A command may come through it several
// times, and only the first time it is new.
import { withoutTracing, type TaskKit } from '@afterspan/core/internal'
import { createAsking, type Ask } from './asking.ts'
import { Begun } from './begun.ts'
import { Readers } from './readers.ts'
import { createRemovals } from './removing.ts'
import { createRunning } from './running.ts'
import { createSending } from './sending.ts'
import { createTransactions } from './transactions.ts'
import type { Command, Exports, IoClient } from './shapes.ts'
import type { Step } from './step.ts'

const ours = new WeakSet<object>()
/** Also where others have wrapped the method between two of our patches, and it is wrapped twice. */
const seen = new WeakSet<Command>()

/** What is to be done at which command, by its name in small letters. */
export function createSteps(kit: TaskKit, ask: Ask): ReadonlyMap<string, Step> {
  const begun = new Begun()
  const asking = createAsking((client, ...words) => begun.outside(client, () => ask(client, ...words)))
  const removals = createRemovals(asking, kit, begun)
  const readers = new Readers(asking)
  const transactions = createTransactions(begun)
  const sending = createSending(kit, { removals, readers, transactions, begun })
  const all = {
    ...createRunning(kit, removals),
    ...sending,
    ...transactions.steps,
    ...removals.steps,
    xgroup: readers.xgroup,
  }
  return new Map(Object.entries(all))
}

export function follow(exports: Exports, kit: TaskKit): void {
  const steps = createSteps(kit, async (client, ...words) => {
    const command = new exports.Command('xinfo', words, { replyEncoding: 'utf8' })
    withoutTracing(() => (client as IoClient).sendCommand(command))
    return command.promise
  })
  for (const Class of [exports.Redis ?? exports.default, exports.Cluster]) {
    // import and require may both bring it: there is one class.
    if (!Class || ours.has(Class.prototype.sendCommand)) continue
    kit.wrap(Class.prototype, 'sendCommand', (original) => {
      const sendCommand: IoClient['sendCommand'] = function (this: IoClient, command, stream, node) {
        const step = mayBe(command.name) && !seen.has(command) && steps.get(command.name.toLowerCase())
        if (!step) return original.call(this, command, stream, node)
        seen.add(command)
        const send = (): unknown => original.call(this, command, stream, node)
        return step(this, command, send, typeof stream === 'object' && stream !== null ? stream : this)
      }
      return sendCommand
    })
    ours.add(Class.prototype.sendCommand)
  }
}

/** Most commands are others: X…, MULTI, EXEC and DISCARD, DEL and UNLINK. */
export function mayBe(name: string): boolean {
  const letter = name.charCodeAt(0) | 32
  if (letter === X) return true
  const { length } = name
  return (
    (letter === E && length === 4) ||
    (letter === D && (length === 7 || length === 3)) ||
    (letter === U && length === 6) ||
    (letter === M && length === 5)
  )
}
const [X, E, D, U, M] = [0x78, 0x65, 0x64, 0x75, 0x6d]
