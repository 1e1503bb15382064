import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { isGroupAlive, killAtEnd, killGroup } from './at-end.ts'
import { node } from './nodes.ts'
import { cleanEnvironment } from './options.ts'
import type { NodeMajor } from './options.ts'
import { createOutput } from './output.ts'
import { tempDir } from './temp-dir.ts'

/** How long output may still come after the exit: a child of the child can hold the pipes for good. */
const LATE_OUTPUT_MS = 500

export interface AppOptions {
  readonly args: readonly string[]
  readonly cwd?: string
  /** On top of the clean environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Written to stdin, which then ends. Without it stdin is /dev/null. */
  readonly input?: string
  /** A major version of test/nodes, or a path. Default: 24. */
  readonly node?: NodeMajor | string
}

export interface AppExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface RunningApp {
  /** Settles once the process is gone and its output is read; never rejects. */
  readonly exit: Promise<AppExit>
  readonly pid: number
  /** All that has been printed so far. */
  readonly stderr: string
  readonly stdout: string
  /** To this process alone; false if it is gone. */
  signal(name: NodeJS.Signals): boolean
  /** SIGKILL to the process and to those that it started, if still there; harmless when called twice. */
  stop(): Promise<AppExit>
  /** The first whole line on stdout or stderr that matches, also one printed before; rejects with both outputs when the process ends or the time is over. */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>
}

/**
 * Starts Node as a process of its own, in a group of its own, with nothing of the runner's configuration and an empty HOME.
 * It and what it has started are dead at the latest when the runner ends.
 */
export function runApp(options: AppOptions): RunningApp {
  const { args, cwd, env = {}, input, node: wanted = 24 } = options
  const path = typeof wanted === 'number' ? node(wanted).path : wanted
  const child = spawn(path, args, {
    ...(cwd === undefined ? {} : { cwd }),
    detached: true, // a group of its own: `stop` reaches the workers of a cluster too
    env: environment(env),
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  child.on('error', () => {}) // told below, by the missing pid; a failed kill is told by its result
  if (child.pid === undefined) throw new Error(`${path} could not be started${cwd ? ` in ${cwd}` : ''}`)
  child.stdin?.on('error', () => {}) // it may have died before it read
  child.stdin?.end(input)
  return running(child, child.pid)
}

function running(child: ChildProcess, pid: number): RunningApp {
  const output = createOutput()
  const forget = killAtEnd(pid)
  child.stdout?.setEncoding('utf8').on('data', (text: string) => output.add('stdout', text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => output.add('stderr', text))
  const exit = ended(child).then((how) => {
    output.end(how.signal ?? `code ${how.code}`)
    if (!isGroupAlive(pid)) forget()
    return how
  })
  return {
    exit,
    pid,
    get stderr() {
      return output.text('stderr')
    },
    get stdout() {
      return output.text('stdout')
    },
    signal: (name) => child.kill(name),
    stop() {
      killGroup(pid)
      return exit
    },
    waitForLine: (pattern, timeoutMs = 10_000) => output.waitForLine(pattern, timeoutMs),
  }
}

function environment(own: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const env = { ...cleanEnvironment(), ...('HOME' in own ? {} : { HOME: tempDir('home') }), ...own }
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

function ended(child: ChildProcess): Promise<AppExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      const late = setTimeout(() => resolve({ code, signal }), LATE_OUTPUT_MS)
      child.once('close', () => {
        clearTimeout(late)
        resolve({ code, signal })
      })
    })
  })
}
