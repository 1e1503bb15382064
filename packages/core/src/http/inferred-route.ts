// A route for requests whose router nobody knows, from the shape of the path. Why it is not `http.route`, and what bounds it:
// docs/decisions/inferred-routes.md.

const ID = '{id}'
const REST = '{rest}'
const MOST_SEGMENTS = 8
const LONGEST_PATH = 1_024
const LONGEST_WORD = 40
/** Paths that are remembered with their template, each of at most so many characters. */
const MOST_KNOWN = 1_000
const LONGEST_KNOWN = 128

export interface InferredRoutes {
  /** Undefined: no template, or one too many. */
  of(path: string, status: number | undefined): string | undefined
}

/** At most `most` different templates in the life of the process: what would be one more has none. */
export function createInferredRoutes(most: number): InferredRoutes {
  const templates = new Set<string>()
  const known = new Map<string, string | undefined>()
  const templateOf = (path: string): string | undefined => {
    if (path.length > LONGEST_KNOWN) return inferRoute(path)
    let template = known.get(path)
    if (template === undefined && !known.has(path)) {
      if (known.size >= MOST_KNOWN) known.clear()
      known.set(path, (template = inferRoute(path)))
    }
    return template
  }
  return {
    of(path, status) {
      if (most === 0 || status === undefined || status === 404) return undefined
      const template = templateOf(path)
      if (template === undefined || templates.has(template)) return template
      // Whoever is refused names paths at will: those teach nothing.
      if (templates.size >= most || (status >= 400 && status < 500)) return undefined
      templates.add(template)
      return template
    },
  }
}

/** '/users/42/orders' → '/users/{id}/orders'. Pure. */
export function inferRoute(path: string): string | undefined {
  if (!path.startsWith('/') || path.length > LONGEST_PATH) return undefined
  const segments = path.split('/').filter((segment) => segment !== '')
  const kept = segments.slice(0, MOST_SEGMENTS).map((segment) => (isValue(segment) ? ID : segment))
  if (segments.length > MOST_SEGMENTS) kept.push(REST)
  return `/${kept.join('/')}`
}

/** Whether a segment looks like one of many: numbers, dates, UUIDs, hashes, tokens, addresses, names with a number. Words, versions and file names are kept. */
function isValue(segment: string): boolean {
  if (segment.length > LONGEST_WORD || /[^A-Za-z0-9._~-]/.test(segment)) return true
  const digits = segment.replaceAll(/\D/g, '').length
  if (digits >= 4 || (digits > 0 && /^[\d._~-]+$/.test(segment))) return true
  if (segment.length >= 8 && digits > 0 && /^[\da-f-]+$/i.test(segment)) return true
  if (segment.length >= 16) return digits > 0 || /^[\da-f]+$/i.test(segment) || isMixedCase(segment)
  return false
}

/** Letters of both cases in an order that no word has: a token. */
function isMixedCase(segment: string): boolean {
  const humps = segment.match(/[a-z][A-Z]/g)?.length ?? 0
  return segment.length >= 20 && humps * 5 >= segment.length
}
