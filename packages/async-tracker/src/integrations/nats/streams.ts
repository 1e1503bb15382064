// How long streams keep their messages, as far as this process has been told, and what it takes out of them: by what the app itself asks
// of JetStream.
import type { TaskKit } from '@afterspan/core/internal'
import { isObject } from '../sending/bag.ts'
import { matches } from '../../subject-pattern.ts'
import { messageId } from './message-id.ts'
import { onCall, SYSTEM, type Exports } from './shapes.ts'

const MOST_STREAMS = 1000

interface Stream {
  readonly subjects: readonly string[]
  readonly maxAgeMs: number
}
/** By connection: two servers may have streams of one name. */
const known = new WeakMap<object, Map<string, Stream>>()

/** Of creating, changing and looking at a stream: the answer shows how it is. */
export function patchStreams({ BaseApiClient, BaseApiClientImpl = BaseApiClient }: Exports, kit: TaskKit): void {
  if (!BaseApiClientImpl) return
  onCall(kit, BaseApiClientImpl, '_request', (original, self, args) => {
    const [, what, stream] =
      /\.STREAM\.(CREATE|INFO|UPDATE|PURGE|DELETE|MSG\.DELETE)\.([^.]+)$/.exec(String(args[0])) ?? []
    const emptied = what && stream ? emptying(kit, what, stream, args[1]) : undefined
    return (original.apply(self, args) as Promise<unknown>).then((answer) => {
      if (emptied) emptied(isObject(answer) && what === 'PURGE' ? Number(answer['purged']) : undefined)
      else if (what) learn(self.nc, answer)
      return answer
    })
  })
}

/** What the app takes away: all of a stream, or of some of its subjects, what came before some message, all but the newest, or one. */
function emptying(
  kit: TaskKit,
  what: string,
  stream: string,
  options: unknown,
): ReturnType<TaskKit['empty']> | undefined {
  const { seq, filter, keep, ...others } = isObject(options) ? options : {}
  const prefix = messageId(stream, '')
  const empty = (ids: object): ReturnType<TaskKit['empty']> => kit.empty({ system: SYSTEM, ids: { prefix, ...ids } })
  if (what === 'DELETE') return empty({})
  if (what === 'MSG.DELETE') return typeof seq === 'number' ? empty({ from: seq, below: seq + 1 }) : undefined
  if (what !== 'PURGE' || Object.keys(others).length > 0) return undefined
  return empty({
    ...(typeof seq === 'number' ? { below: seq } : {}),
    ...(typeof filter === 'string' ? { subject: filter } : {}),
    ...(typeof keep === 'number' ? { keep } : {}),
  })
}

function learn(connection: object, answer: unknown): void {
  const config = isObject(answer) ? answer['config'] : undefined
  if (!isObject(config)) return
  const { max_age: maxAge, name, subjects } = config
  if (typeof name !== 'string') return
  let streams = known.get(connection)
  if (!streams) known.set(connection, (streams = new Map()))
  if (typeof maxAge !== 'number' || maxAge <= 0 || !Array.isArray(subjects)) streams.delete(name)
  else if (streams.has(name) || streams.size < MOST_STREAMS)
    streams.set(name, { subjects: subjects.map(String), maxAgeMs: maxAge / 1e6 })
}

/** After so long the stream drops what is published to the subject, and whoever has not begun by then never will. */
export function maxAgeMs(connection: object, subject: string): number | undefined {
  for (const { subjects, maxAgeMs: ms } of known.get(connection)?.values() ?? [])
    if (subjects.some((pattern) => matches(pattern, subject))) return ms
  return undefined
}
