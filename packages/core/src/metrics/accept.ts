// What a scraper asks for: Accept and Accept-Encoding with their q-values (RFC 9110, 12.4.2 and 12.5).

export const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8'
export const OPENMETRICS_TEXT = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
const OPENMETRICS_DRAFT = 'application/openmetrics-text; version=0.0.1; charset=utf-8'

interface Range {
  readonly name: string
  readonly quality: number
  readonly version: string | undefined
}

/**
 * The content type of the answer. OpenMetrics only where it is asked for by name and text/plain is not liked better; where
 * nothing that we have is acceptable, Prometheus text: that is what every scraper can read.
 */
export function chooseFormat(accept: string | undefined): string {
  const ranges = parse(accept)
  const named = ranges.filter((range) => range.name === 'application/openmetrics-text')
  const quality = (version: string): number =>
    best(named.filter((range) => range.version === undefined || range.version === version))
  const text = bestOf(ranges, ['text/plain', 'text/*', '*/*'])
  const [current, draft] = [quality('1.0.0'), quality('0.0.1')]
  if (current > 0 && current >= Math.max(text, draft)) return OPENMETRICS_TEXT
  return draft > 0 && draft >= text ? OPENMETRICS_DRAFT : PROMETHEUS_TEXT
}

export function isOpenMetrics(contentType: string): boolean {
  return contentType.startsWith('application/openmetrics-text')
}

/** Whether the scraper takes gzip, and likes it no less than the text as it is. */
export function takesGzip(acceptEncoding: string | undefined): boolean {
  const ranges = parse(acceptEncoding)
  const gzip = bestOf(ranges, ['gzip', '*'])
  return gzip > 0 && gzip >= bestOf(ranges, ['identity'])
}

/** The quality of the most specific name that is there. */
function bestOf(ranges: readonly Range[], names: readonly string[]): number {
  for (const name of names) {
    const found = ranges.filter((range) => range.name === name)
    if (found.length > 0) return best(found)
  }
  return 0
}

function best(ranges: readonly Range[]): number {
  return Math.max(0, ...ranges.map((range) => range.quality))
}

function parse(header: string | undefined): Range[] {
  return (header ?? '')
    .slice(0, 4096)
    .split(',')
    .map((part) => {
      const [name = '', ...parameters] = part.split(';').map((p) => p.trim().toLowerCase())
      const value = (key: string): string | undefined =>
        parameters
          .find((p) => p.startsWith(`${key}=`))
          ?.slice(key.length + 1)
          .replaceAll('"', '')
      const q = Number(value('q') ?? 1)
      return { name, quality: q >= 0 && q <= 1 ? q : 0, version: value('version') }
    })
    .filter(({ name }) => name !== '')
}
