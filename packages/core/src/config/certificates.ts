import { readFileSync } from 'node:fs'
import { say } from '../diag.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'

/** The files that the OTEL_EXPORTER_OTLP_*CERTIFICATE and *CLIENT_KEY variables name. One that cannot be read is said and left out. */
export function readTls(files: {
  readonly ca: string
  readonly cert: string
  readonly key: string
}): OtlpSettings['tls'] {
  const read = {
    ca: readOne('OTEL_EXPORTER_OTLP_CERTIFICATE', files.ca),
    cert: readOne('OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE', files.cert),
    key: readOne('OTEL_EXPORTER_OTLP_CLIENT_KEY', files.key),
  }
  const found = Object.entries(read).filter((entry): entry is [keyof typeof read, string] => entry[1] !== undefined)
  return found.length > 0 ? Object.fromEntries(found) : undefined
}

function readOne(env: string, file: string): string | undefined {
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
