import type { TaskFailure } from '../contracts/task.ts'
import { describeException } from '../sdk/request-span.ts'

const MOST_IN = 4096
const MOST_OUT = 1024
// Linear patterns only: the input comes from outside.
const RULES: readonly (readonly [RegExp, string])[] = [
  // A password may have an @ in it.
  [/\/\/[^/\s]{1,256}@/g, '//…@'],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}/gi, '$1 …'],
  [/\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?/g, '…'],
  // Also as the end of a longer name: access_token, DB_PASSWORD, clientSecret.
  [
    /(password|passwd|pwd|secret|token|api[_-]?key|authorization|signature)(["']?\s*[=:]\s*)(?:"[^"]{0,256}"?|'[^']{0,256}'?|[^\s"',;&]{1,256})/gi,
    '$1$2…',
  ],
  [/\b\d{13,19}\b/g, '…'],
]

/** Free text without credentials, at most 1 KiB: URL credentials, bearer and basic tokens, JWTs, `password=`-like pairs, card-length digits. */
export function redact(text: string): string {
  let out = text.length > MOST_IN ? text.slice(0, MOST_IN) : text
  for (const [pattern, by] of RULES) out = out.replace(pattern, by)
  return out.length > MOST_OUT ? `${out.slice(0, MOST_OUT - 1)}…` : out
}

/** What is kept of a failure: never a payload, never a credential, never the working folder. */
export function toFailure(error: unknown): TaskFailure {
  const { type, message, stack } = describeException(error)
  return {
    type: type.slice(0, 128),
    message: redact(message),
    ...(stack ? { stack: redact(stack.replaceAll(`${cwd()}/`, '')) } : {}),
  }
}
let known: string | undefined
function cwd(): string {
  try {
    return (known ??= process.cwd())
  } catch {
    return (known = '/')
  }
}
