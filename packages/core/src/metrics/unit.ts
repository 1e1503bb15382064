// UCUM units as the words that Prometheus names end in, by OpenTelemetry's compatibility specification and the collector's table.
const WORDS: Readonly<Record<string, string>> = {
  d: 'days',
  h: 'hours',
  min: 'minutes',
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
  By: 'bytes',
  KiBy: 'kibibytes',
  MiBy: 'mebibytes',
  GiBy: 'gibibytes',
  TiBy: 'tibibytes',
  kBy: 'kilobytes',
  KBy: 'kilobytes',
  MBy: 'megabytes',
  GBy: 'gigabytes',
  TBy: 'terabytes',
  m: 'meters',
  V: 'volts',
  A: 'amperes',
  J: 'joules',
  W: 'watts',
  g: 'grams',
  Cel: 'celsius',
  Hz: 'hertz',
  '%': 'percent',
  '1': '',
}
const PER: Readonly<Record<string, string>> = {
  s: 'second',
  m: 'minute',
  min: 'minute',
  h: 'hour',
  d: 'day',
  w: 'week',
  wk: 'week',
  mo: 'month',
  y: 'year',
  a: 'year',
}

/** `By/s` is `bytes_per_second`; an annotation such as {request} is no unit; '1' is `ratio` on a gauge, else none. */
export function unitWord(unit: string | undefined, isGauge = false): string {
  if (!unit) return ''
  if (unit === '1') return isGauge ? 'ratio' : ''
  const [of = '', ...per] = unit.replace(/\{[^}]*\}/g, '').split('/')
  const words = [word(WORDS, of.trim()), ...per.map((part) => withPer(word(PER, part.trim())))]
  return words.filter((w) => w !== '').join('_')
}

function withPer(of: string): string {
  return of === '' ? '' : `per_${of}`
}

function word(words: Readonly<Record<string, string>>, of: string): string {
  const known = Object.hasOwn(words, of) ? words[of] : undefined
  return known ?? of.replace(/[^a-zA-Z0-9]+/g, '_').replace(/^_+|_+$/g, '')
}
