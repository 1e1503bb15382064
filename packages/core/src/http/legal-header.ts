const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/
const FIELD = /^[\t\x20-\x7E\x80-\xFF]*$/

/** Whether HTTP can carry it: a name or value with the end of a line in it would be several headers. */
export function isLegalHeader(name: string, value: string): boolean {
  return TOKEN.test(name) && FIELD.test(value)
}
