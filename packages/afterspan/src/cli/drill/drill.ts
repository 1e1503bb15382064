// How long it takes from a worker's death to its being told: with a real one, killed for it.
import { spawn, type ChildProcess } from 'node:child_process'
import { get } from 'node:http'
import { get as getTls } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import type { Receipt } from '@afterspan/core'
import { environment } from '@afterspan/core/internal'
import { registerPath } from '../register-path.ts'

export interface DrillSettings {
  readonly dir: string
  /** Longest wait for each of the steps. */
  readonly timeoutMs: number
  /** Base address of Jaeger's query service. */
  readonly jaeger?: string
  /** Of the patrol that is there; it may sweep to answer. */
  receipt(traceId: string): Promise<Receipt | undefined>
}

/** Milliseconds from the death; what did not come in time is absent. */
export interface DrillResult {
  readonly traceId: string
  readonly proofMs?: number
  readonly evidence?: string
  readonly collectorMs?: number
  readonly jaegerMs?: number
}

const LOOK_MS = 20
/** The spans of the request itself are on their way by then: the drill is about what comes after the death. */
const SETTLE_MS = 1_500

export async function drill(settings: DrillSettings): Promise<DrillResult> {
  const canary = startCanary(settings.dir)
  try {
    const traceId = await traceOf(canary, settings.timeoutMs)
    await wait(SETTLE_MS)
    await killed(canary)
    const diedAt = performance.now()
    const since = (): number => Math.round(performance.now() - diedAt)
    const until = async <T>(look: () => Promise<T | undefined>): Promise<T | undefined> => {
      while (since() < settings.timeoutMs) {
        const found = await look()
        if (found !== undefined) return found
        await wait(LOOK_MS)
      }
      return undefined
    }
    const task = async (): Promise<Receipt['tasks'][number] | undefined> =>
      (await settings.receipt(traceId))?.tasks.find(({ state }) => state === 'lost')
    const proof = await until(task)
    const result = { traceId, ...(proof ? { proofMs: since(), evidence: proof.evidence ?? '' } : {}) }
    if (!proof) return result
    const told = await until(async () => ((await task())?.reportedAt === undefined ? undefined : since()))
    const jaeger =
      settings.jaeger && told !== undefined ? await until(() => inJaeger(settings.jaeger!, traceId, since)) : undefined
    return {
      ...result,
      ...(told === undefined ? {} : { collectorMs: told }),
      ...(jaeger === undefined ? {} : { jaegerMs: jaeger }),
    }
  } finally {
    canary.kill('SIGKILL')
  }
}

function startCanary(dir: string): ChildProcess {
  const env = {
    ...environment(),
    NODE_OPTIONS: '',
    AFTERSPAN_LEDGER_DIR: dir,
    AFTERSPAN_PATROL: 'external', // it must not hold the lock that it then takes to its grave
    OTEL_EXPORTER_PROMETHEUS_PORT: '0',
    OTEL_SERVICE_NAME: 'afterspan-drill',
    OTEL_TRACES_SAMPLER: 'always_on',
  }
  return spawn(process.execPath, ['--require', registerPath(), join(__dirname, 'canary.js')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function traceOf(canary: ChildProcess, timeoutMs: number): Promise<string> {
  const timer = setTimeout(() => canary.kill('SIGKILL'), timeoutMs)
  try {
    for await (const line of createInterface({ input: canary.stdout! })) {
      const { traceId } = JSON.parse(line) as { traceId: string }
      if (traceId) return traceId
      break
    }
  } finally {
    clearTimeout(timer)
  }
  throw new Error('the canary did not answer with a trace: is AFTERSPAN_DISABLED or OTEL_SDK_DISABLED set?')
}

function killed(canary: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    canary.once('exit', () => resolve())
    canary.kill('SIGKILL')
  })
}

/** By Jaeger's own query API: whether the trace has the span that tells the loss. */
function inJaeger(base: string, traceId: string, since: () => number): Promise<number | undefined> {
  const url = `${base.replace(/\/+$/, '')}/api/traces/${traceId}`
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? getTls : get)(url, (res) => {
      let body = ''
      res.setEncoding('utf8').on('data', (part: string) => (body += part))
      res.on('end', () => {
        resolve(
          res.statusCode === 200 && body.includes('"afterspan.task.state"') && body.includes('"lost"')
            ? since()
            : undefined,
        )
      })
    })
    request.on('error', (error) => reject(new Error(`Jaeger at ${base} does not answer: ${error.message}`)))
  })
}
