import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { environment } from '@afterspan/core/internal'
import { UsageError, type Command } from '../command.ts'
import { registerPath } from '../register-path.ts'

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Ctrl-C reaches the command too, and to many a second one means to end at once. The first process of a container may be stopped by a SIGINT. */
function isFromTerminal(): boolean {
  return process.stdin.isTTY && process.pid !== 1
}

export const run: Command = {
  name: 'run',
  summary: 'starts a command with the preload in it',
  usage: '-- <command> [arguments]',
  details: 'npx afterspan run -- node app.js\n\nThe exit code and the signals are those of the command.',
  options: {},
  passesOn: true,
  run({ positionals }) {
    const [command, ...args] = positionals
    if (command === undefined) throw new UsageError('a command is needed')
    const env = environment()
    const options = `${env['NODE_OPTIONS'] ?? ''} --require ${JSON.stringify(registerPath())}`.trim()
    const child = spawn(command, args, { stdio: 'inherit', env: { ...env, NODE_OPTIONS: options } })
    for (const signal of FORWARDED)
      process.on(signal, () => {
        if (signal !== 'SIGINT' || !isFromTerminal()) child.kill(signal)
      })
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', (code, signal) => {
        resolve(code ?? 128 + (signal ? constants.signals[signal] : 0))
      })
    })
  },
}
