import { readFileSync } from 'node:fs'
import type { TlsSettings, TlsTexts } from './settings.ts'

/** What a connection that is made now shows and trusts. Certificates that live for a day are replaced while the process runs; a file that cannot be used leaves what was there at the start. */
export function currentTls({ files = {}, ...texts }: TlsSettings = {}): TlsTexts {
  const read = Object.entries(files).map(([kind, file]) => [kind, pemIn(file)] as const)
  return { ...texts, ...Object.fromEntries(read.filter(([, text]) => text !== undefined)) }
}

function pemIn(file: string): string | undefined {
  try {
    return asPem(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

export function asPem(text: string): string | undefined {
  return text.includes('-----BEGIN ') ? text : undefined
}
