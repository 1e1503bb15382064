// Runs the command for a while with the preload in it, and gathers what its processes say of themselves.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Env, LoadingReport } from '@afterspan/core/internal'
import { registerPath } from '../register-path.ts'

export interface Trial {
  /** How the command ended by itself; undefined: it ran until it was ended. */
  readonly ended: { readonly code: number | null; readonly signal: string | null; readonly afterMs: number } | undefined
  readonly ranMs: number
  readonly processes: readonly LoadingReport[]
  /** Afterspan's lines on stderr, `AFS_CODE message`. */
  readonly lines: readonly string[]
  readonly adminUrl: string | undefined
  /** What each health probe says; undefined where nobody could be asked. */
  readonly probes: readonly ProbeSaid[] | undefined
  readonly spans: { readonly exported: number; readonly dropped: number } | undefined
}

export interface ProbeSaid {
  readonly name: string
  readonly status: string
  /** 'pending': it has no result yet. */
  readonly code?: string
  readonly output?: string
}

export interface TrialOptions {
  readonly command: readonly string[]
  readonly env: Env
  readonly seconds: number
  /** The command's stdout goes to stderr: stdout is for the answer. */
  readonly keepsStdout: boolean
  /** False: the app loads Afterspan itself. */
  readonly isPreloaded: boolean
}

const LAST_MS = 3_000
const ASK_MS = 2_000
/** A process that dies of a signal says nothing more: what it has just loaded is in its next report, four of which it makes in a second. */
const REPORTED_MS = 600

/** Rejects where the command cannot be started at all. */
export async function runTrial({ command, env, seconds, keepsStdout, isPreloaded }: TrialOptions): Promise<Trial> {
  const dir = mkdtempSync(join(tmpdir(), 'afterspan-doctor-'))
  const addressFile = env['AFTERSPAN_ADMIN_ADDRESS_FILE'] || join(dir, 'admin')
  const started = performance.now()
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    detached: true, // a group: what the command starts ends with it
    stdio: ['inherit', keepsStdout ? 2 : 'inherit', 'pipe'],
    env: {
      ...env,
      ...(isPreloaded ? withPreload(env) : {}),
      AFTERSPAN_ADMIN_ADDRESS_FILE: addressFile,
      AFTERSPAN_DOCTOR_DIR: dir,
    },
  })
  const lines = collectLines(child)
  try {
    const ending = endOf(child)
    const end = await Promise.race([ending, after(seconds * 1000), interrupted()])
    const afterMs = Math.round(performance.now() - started)
    const adminUrl = /^http\S+(?=\n)/.exec(readText(addressFile) ?? '')?.[0]
    const asked = end ? undefined : await askAdmin(adminUrl)
    if (!end) {
      await after(REPORTED_MS)
      await endGroup(child, ending)
    }
    return {
      ended: end ? { ...end, afterMs } : undefined,
      ranMs: afterMs,
      processes: readReports(dir),
      lines: lines(),
      adminUrl,
      probes: asked?.probes,
      spans: asked?.spans,
    }
  } finally {
    killGroup(child, 'SIGKILL') // what is left of the group
    rmSync(dir, { recursive: true, force: true })
  }
}

function withPreload(env: Env): Record<string, string> {
  return { NODE_OPTIONS: `${env['NODE_OPTIONS'] ?? ''} --require ${JSON.stringify(registerPath())}`.trim() }
}

/** Passes stderr on, and remembers our lines in it. */
function collectLines(child: ChildProcess): () => readonly string[] {
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    process.stderr.write(chunk)
    if (text.length < 1_000_000) text += chunk
  })
  return () => [...text.matchAll(/^\[afterspan\] (AFS_.*)$/gm)].map(([, line]) => line!)
}

function endOf(child: ChildProcess): Promise<{ readonly code: number | null; readonly signal: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      resolve({ code, signal })
    })
  })
}

async function endGroup(child: ChildProcess, ending: Promise<unknown>): Promise<void> {
  killGroup(child, 'SIGTERM')
  await Promise.race([ending, after(LAST_MS)])
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // nobody is left
  }
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, undefined).unref()
  })
}

/** Whoever has seen enough need not wait. Whoever says so again does: what the command has started would be left behind. */
function interrupted(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => {
        resolve(undefined)
      })
  })
}

function readReports(dir: string): LoadingReport[] {
  return readdirSync(dir)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      try {
        return [JSON.parse(readFileSync(join(dir, file), 'utf8')) as LoadingReport]
      } catch {
        return [] // ended while it wrote
      }
    })
    .sort((a, b) => a.pid - b.pid || a.threadId - b.threadId)
}

async function askAdmin(url: string | undefined): Promise<Pick<Trial, 'probes' | 'spans'> | undefined> {
  if (!url) return undefined
  let probes = probesIn(await askText(`${url}/health`))
  // The listener may have come up this moment, and the first round of the probes not yet.
  for (let round = 0; round < 5 && (!probes?.length || probes.some(isPending)); round++) {
    await after(300)
    probes = probesIn(await askText(`${url}/health`))
  }
  return { probes, spans: spansIn(await askText(`${url}/metrics`)) }
}

function isPending({ code }: ProbeSaid): boolean {
  return code === 'pending'
}

const FROM_BAD = ['fail', 'warn', 'unknown', 'pass']

function probesIn(health: string | undefined): Trial['probes'] {
  try {
    const { checks = {} } = JSON.parse(health ?? '') as { checks?: Record<string, Partial<ProbeSaid>[]> }
    const worst = new Map<string, ProbeSaid>()
    for (const [key, [first]] of Object.entries(checks)) {
      const name = key.replace(/:.*/, '') // '<probe>:<measurement>'
      const said = { status: 'unknown', ...first, name }
      const known = worst.get(name)
      if (!known || FROM_BAD.indexOf(said.status) < FROM_BAD.indexOf(known.status)) worst.set(name, said)
    }
    return [...worst.values()]
  } catch {
    return undefined
  }
}

function spansIn(metrics: string | undefined): Trial['spans'] {
  if (metrics === undefined) return undefined
  const sum = (name: string): number =>
    [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (all, [, n]) => all + Number(n),
      0,
    )
  return { exported: sum('afterspan_spans_exported_total'), dropped: sum('afterspan_spans_dropped_total') }
}

function askText(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asked = request(
      url,
      { headers: { accept: 'application/health+json, text/plain' }, timeout: ASK_MS },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => {
          resolve(text)
        })
      },
    )
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => {
      resolve(undefined)
    })
    asked.end()
  })
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
