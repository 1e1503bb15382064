import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { SDK_VERSION } from '@afterspan/core/internal'
import { UsageError, type Command, type CommandInput } from './command.ts'
import { doctor } from './commands/doctor.ts'
import { drill } from './commands/drill.ts'
import { patrol } from './commands/patrol.ts'
import { health } from './commands/health.ts'
import { path } from './commands/path.ts'
import { receipt } from './commands/receipt.ts'
import { run } from './commands/run.ts'
import { sink } from './commands/sink.ts'
import { tasks } from './commands/tasks.ts'

const COMMANDS: readonly Command[] = [receipt, tasks, health, run, doctor, patrol, drill, sink, path]
const HELP: ParseArgsOptionsConfig = { help: { type: 'boolean', short: 'h' } }

/** The command line. Resolves with the exit code: 0 well, 1 not found or failed, 2 not understood. */
export async function main(args: readonly string[]): Promise<number> {
  process.removeAllListeners('warning') // node:sqlite announces itself on Node 22
  hearOutput()
  const [name, ...rest] = args[0] === 'help' && args[1] !== undefined ? [args[1], '--help'] : args
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    print(overview())
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-v') {
    print(SDK_VERSION)
    return 0
  }
  const command = COMMANDS.find((known) => known.name === name)
  if (!command) {
    complain(
      `afterspan: there is no command ${JSON.stringify(name)}; allowed are ${COMMANDS.map((known) => known.name).join(', ')}`,
    )
    return 2
  }
  // What the library does for an app never keeps a process alive; here it is the work itself.
  const keepAlive = setInterval(() => {}, 60_000)
  try {
    const code = await execute(command, rest)
    return isOutputLost ? 1 : code
  } catch (error) {
    complain(`afterspan ${name}: ${messageOf(error)}`)
    if (error instanceof UsageError || isParseError(error)) {
      complain(usageOf(command))
      return 2
    }
    return 1
  } finally {
    clearInterval(keepAlive)
  }
}

async function execute(command: Command, args: readonly string[]): Promise<number> {
  if (command.passesOn && args[0] !== '--help' && args[0] !== '-h')
    return command.run({ values: {}, positionals: args[0] === '--' ? args.slice(1) : args, print, complain })
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...HELP, ...command.options },
    allowPositionals: true,
  })
  if (values['help']) {
    print(`${usageOf(command)}\n\n${command.details}`)
    return 0
  }
  if (positionals.length > 0 && !command.takesWords)
    throw new UsageError(`${JSON.stringify(positionals[0])} is not understood`)
  return command.run({ values: values as CommandInput['values'], positionals, print, complain })
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length))
  return [
    'Afterspan: a 200 is a promise.',
    '',
    'Usage: afterspan <command> [options]',
    '',
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'afterspan <command> --help tells more. Start an app with it: node --require afterspan/register app.js',
  ].join('\n')
}

function usageOf({ name, usage }: Command): string {
  return `Usage: afterspan ${name} ${usage}`.trimEnd()
}

/** Of Node's own about options the first sentence; the second advises what no command of ours takes. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return isParseError(error) ? message.split('. To specify')[0]! : message
}

function isParseError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code as string).startsWith('ERR_PARSE_ARGS')
}

let isOutputLost = false

/** Who reads may have read enough (`| head`), and that is well. A disk that is full is not. */
function hearOutput(): void {
  process.stderr.on('error', () => {})
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' || isOutputLost) return
    isOutputLost = true
    process.exitCode = 1 // also where all else was well before this was known
    complain(`afterspan: what was printed is lost: ${message}`)
  })
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`)
}
