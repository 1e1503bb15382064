import type { ParseArgsOptionsConfig } from 'node:util'

/** One word of the command line. */
export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** What `--help` shows below `Usage: afterspan <name>`. */
  readonly usage: string
  readonly details: string
  readonly options: ParseArgsOptionsConfig
  /** It takes words that are no options; the others refuse them. */
  readonly takesWords?: boolean
  /** Everything from here on is somebody else's command line. */
  readonly passesOn?: boolean
  /** Returns the exit code. */
  run(input: CommandInput): Promise<number>
}
export interface CommandInput {
  readonly values: Readonly<Record<string, string | boolean | undefined>>
  readonly positionals: readonly string[]
  print(text: string): void
  complain(text: string): void
}

/** Said with the usage, exit code 2. */
export class UsageError extends Error {}

/** The value of an option that is an address. Throws UsageError where it is none. */
export function httpAddress(option: string, given: string): string {
  if (URL.canParse(given) && /^https?:$/.test(new URL(given).protocol)) return given
  throw new UsageError(`${option} ${JSON.stringify(given)}: allowed is an address that starts with http:// or https://`)
}
