const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, '*'], // UUIDs
  [/\b[0-9a-f]{16,}\b/gi, '*'], // trace, span and task ids
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*Z?/g, '*'],
  [/\b(pid|port|process|thread)([ =:#]{1,2})\d+/gi, '$1$2*'],
  [/(\blocalhost|\b(?:\d{1,3}\.){3}\d{1,3}|::1|\]):\d+/gi, '$1:*'],
  [/\b\d+(?:\.\d+)?( ?)(ms|µs|us|ns|s|seconds?|milliseconds?|minutes?)\b/g, '*$1$2'],
]

/** The text with `*` for what differs from run to run: ids, times, durations, pids, and ports behind a loopback name or an address. */
export function stableText(text: string): string {
  return VOLATILE.reduce((changed, [pattern, by]) => changed.replace(pattern, by), text)
}

/** Whether an attribute is, by its name, different in every run. */
export function isVolatileKey(key: string): boolean {
  return /(^|[._])(id|pid|port)$/.test(key)
}
