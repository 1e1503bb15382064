/** How many arguments of a command are shown, by the beginning of its name: keys, and fields where there are some, but no values. -1: all of them. Of any other command none. */
const SHOWN: readonly (readonly [RegExp, number])[] = [
  [/^ECHO/i, 0],
  [/^(?:GETSET|LPUSH|MSET|PFA|PSETEX|PUBLISH|RPUSH|SADD|SET|SPUBLISH|XADD|ZADD)/i, 1],
  [/^(?:HSET|HMSET|LSET|LINSERT)/i, 2],
  [/^(?:ACL|CONFIG)/i, 1],
  [
    /^(?:BIT|B[LRZ]|CLIENT|CLUSTER|COMMAND|DECR|DEL|EVAL|EX|FUNCTION|GEO|GET|HINCR|HMGET|HSCAN|INCR|L[TRLM]|MEMORY|P[EFISTU]|RPOP|S[CDIMORSU]|XACK|X[CDGILPRT]|Z[CDILMPRS])/i,
    -1,
  ],
]
const MOST_NAMES = 500
const known = new Map<string, number>()

/** A command of Redis without what the app stores: by the rules of @opentelemetry/redis-common. Of a text that is longer than `most` characters only the beginning is needed. */
export function redisStatement(name: string, args: unknown, most: number): string {
  if (!Array.isArray(args) || args.length === 0) return name
  const shown = shownOf(name)
  const count = shown < 0 ? args.length : Math.min(shown, args.length)
  let text = name
  for (let i = 0; i < count; i++) {
    text += ` ${textOf(args[i], most)}`
    if (text.length > most) return text
  }
  return count < args.length ? `${text} [${args.length - count} other arguments]` : text
}

function shownOf(name: string): number {
  const before = known.get(name)
  if (before !== undefined) return before
  const shown = SHOWN.find(([begin]) => begin.test(name))?.[1] ?? 0
  if (known.size < MOST_NAMES) known.set(name, shown)
  return shown
}

/** A character has at most four bytes: what is behind them is cut off in any case. */
function textOf(value: unknown, most: number): string {
  if (typeof value === 'string') return value
  if (value instanceof Buffer) return value.length > most * 4 ? value.toString('utf8', 0, most * 4) : value.toString()
  return value === undefined || value === null ? '' : String(value as number)
}
