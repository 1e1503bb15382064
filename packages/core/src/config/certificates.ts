import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { say } from '../diag.ts'
import { asPem } from '../sdk/otlp/current-tls.ts'
import type { TlsSettings } from '../sdk/otlp/settings.ts'

/** A file, and the variable that names it; '' is none. */
export interface NamedFile {
  readonly env: string
  readonly file: string
}

/** What the OTEL_EXPORTER_OTLP_*CERTIFICATE and *CLIENT_KEY variables name. A file that cannot be used is said, and left out until it can. */
export function readTls(named: Readonly<Record<'ca' | 'cert' | 'key', NamedFile>>): TlsSettings | undefined {
  const files = Object.entries(named).filter(([, { file }]) => file !== '')
  if (files.length === 0) return undefined
  const read = files.map(([kind, one]) => [kind, readOne(one)] as const)
  return {
    ...Object.fromEntries(read.filter(([, text]) => text !== undefined)),
    files: Object.fromEntries(files.map(([kind, { file }]) => [kind, resolve(file)])),
  }
}

function readOne({ env, file }: NamedFile): string | undefined {
  const refused = (why: string): undefined => {
    const text = `${env}=${JSON.stringify(file)} ${why}: allowed is a PEM file. It is left out until it is one.`
    say('AFS_CONFIG_INVALID', text, env)
  }
  try {
    return asPem(readFileSync(file, 'utf8')) ?? refused('holds no PEM')
  } catch (error) {
    return refused(`cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
  }
}
