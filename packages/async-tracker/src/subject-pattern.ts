// Patterns of subjects, as NATS has them.

/** '*' stands for one token, '>' at the end for one or more. Pure. */
export function matches(pattern: string, subject: string): boolean {
  if (pattern === subject) return true
  const wanted = pattern.split('.')
  const given = subject.split('.')
  for (const [i, token] of wanted.entries()) {
    if (token === '>') return given.length > i
    if (i >= given.length || (token !== '*' && token !== given[i])) return false
  }
  return wanted.length === given.length
}
