import { environment, printable, silence } from '@afterspan/core/internal'
import { UsageError, type Command } from '../command.ts'
import { bundledIn } from '../doctor/bundled.ts'
import { findingsOf, type Finding } from '../doctor/findings.ts'
import { asksItself, compared } from '../doctor/own-preload.ts'
import { lookAround } from '../doctor/surroundings.ts'
import { runTrial } from '../doctor/trial.ts'

const OWN_PRELOAD: Finding = {
  level: 'note',
  about: 'afterspan/register',
  text: 'the app asks for it in its own code, and was run a second time without the flag: what follows is of that run',
  todo: 'node --require afterspan/register app.js sees every module, whoever loads it first',
}
const MARKS: Readonly<Record<Finding['level'], string>> = { well: '✓', note: '·', problem: '✗' }

export const doctor: Command = {
  name: 'doctor',
  summary: 'runs a command for a few seconds and tells what of it is seen, and why not',
  usage: '[--seconds N] [--json] -- <command> [arguments]',
  details: [
    'npx afterspan doctor -- node app.js',
    '',
    'Tells which modules were instrumented, loaded too early, unsupported or missed, whether the collector, the ledger folder and the',
    'admin port can be used, which copies of the OpenTelemetry API are there, which health probes were found, and what to do about each.',
    'An app that asks for afterspan/register in its own code is run a second time, without the flag.',
    'Exit code 1 where something is to be done. The command is ended by SIGTERM after the time, if it has not ended by itself.',
    '',
    '  --seconds N  how long the command may run; default 5',
    '  --json       everything as JSON on stdout; what the command prints there goes to stderr',
  ].join('\n'),
  takesWords: true,
  options: { seconds: { type: 'string' }, json: { type: 'boolean' } },
  async run({ values, positionals, print }) {
    if (positionals.length === 0) throw new UsageError('a command is needed')
    silence() // the command says the same of the same environment
    const env = environment()
    const around = await lookAround(env)
    const options = { command: positionals, env, keepsStdout: values['json'] === true }
    const flagged = await runTrial({ ...options, seconds: secondsOf(values['seconds']), isPreloaded: true })
    const isOwn = asksItself(flagged, positionals, env)
    const trial = isOwn
      ? compared(flagged, await runTrial({ ...options, seconds: flagged.ranMs / 1_000, isPreloaded: false }))
      : flagged
    const findings = [...(isOwn ? [OWN_PRELOAD] : []), ...findingsOf(around, trial, bundledIn)]
    const isWell = findings.every(({ level }) => level !== 'problem')
    print(values['json'] ? JSON.stringify({ isWell, findings, ...around, ...trial }, null, 2) : textOf(findings))
    return isWell ? 0 : 1
  },
}

function secondsOf(given: string | boolean | undefined): number {
  if (given === undefined) return 5
  if (typeof given !== 'string' || !/^\d{1,4}(\.\d{1,3})?$/.test(given) || Number(given) === 0)
    throw new UsageError(`--seconds ${String(given)}: allowed is a number above 0`)
  return Number(given)
}

function textOf(findings: readonly Finding[]): string {
  const width = Math.min(40, Math.max(...findings.map(({ about }) => about.length)))
  const problems = findings.filter(({ level }) => level === 'problem').length
  return [
    '',
    ...findings.flatMap(({ level, about, text, todo }) => [
      `${MARKS[level]} ${printable(about).padEnd(width)}  ${printable(text)}`,
      ...(todo ? [`  ${' '.repeat(width)}  → ${todo}`] : []),
    ]),
    '',
    problems === 0 ? 'all is well' : `${problems} to look at`,
  ].join('\n')
}
