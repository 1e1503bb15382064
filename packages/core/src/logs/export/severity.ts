/** Levels of pino and bunyan as OpenTelemetry's severities; what stands between two levels is above the lower one. */
export function severityOfLevel(level: number): number {
  if (level >= 60) return 21
  if (level >= 50) return level > 50 ? 18 : 17
  if (level >= 40) return level > 40 ? 14 : 13
  if (level >= 30) return level > 30 ? 10 : 9
  if (level >= 20) return level > 20 ? 6 : 5
  return level > 10 ? 2 : 1
}

const NAMES: Readonly<Record<string, number>> = {
  silly: 1,
  trace: 1,
  debug: 5,
  verbose: 6,
  http: 7,
  info: 9,
  notice: 10,
  warn: 13,
  warning: 13,
  error: 17,
  fatal: 21,
  crit: 21,
  alert: 22,
  emerg: 23,
}

/** By the names that npm, syslog and most loggers have; 0 for one of the app's own. */
export function severityOfName(name: string): number {
  return Object.hasOwn(NAMES, name) ? NAMES[name]! : 0
}
