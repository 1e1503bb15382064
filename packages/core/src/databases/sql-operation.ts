import { codeAt } from '../char-code.ts'

const LONGEST_OPERATION = 64

/** The first word of a statement: `SELECT`. */
export function operationIn(text: string): string {
  let start = 0
  while (start < text.length && isSpace(codeAt(text, start))) start++
  const most = Math.min(text.length, start + LONGEST_OPERATION)
  let end = start
  while (end < most && !isSpace(codeAt(text, end))) end++
  const word = text.slice(start, end).toUpperCase()
  return word.endsWith(';') ? word.slice(0, -1) : word
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13)
}
