import { readFileSync } from 'node:fs'
import { say } from '../diag.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'

/** A file, and the variable that names it; '' is none. */
export interface NamedFile {
  readonly env: string
  readonly file: string
}

/** What the OTEL_EXPORTER_OTLP_*CERTIFICATE and *CLIENT_KEY variables name. A file that cannot be read is said and left out. */
export function readTls(files: Readonly<Record<'ca' | 'cert' | 'key', NamedFile>>): OtlpSettings['tls'] {
  const read = { ca: readOne(files.ca), cert: readOne(files.cert), key: readOne(files.key) }
  const found = Object.entries(read).filter((entry): entry is [keyof typeof read, string] => entry[1] !== undefined)
  return found.length > 0 ? Object.fromEntries(found) : undefined
}

function readOne({ env, file }: NamedFile): string | undefined {
  if (file === '') return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    say(
      'AFS_CONFIG_INVALID',
      `${env}=${JSON.stringify(file)} cannot be read (${why}): allowed is a PEM file. It is left out.`,
      env,
    )
    return undefined
  }
}
