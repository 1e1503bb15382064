// What an app with the preload needs around it, asked before it is started.
import { createServer } from 'node:net'
import { trackerOptions } from '@afterspan/async-tracker/internal'
import {
  encodeTraceRequest,
  findLedgerDir,
  loadConfig,
  loadSection,
  nameLedgerDir,
  otlpSettings,
  postOtlp,
  shownUrl,
  type Env,
  type OtlpSettings,
} from '@afterspan/core/internal'

export interface Collector {
  readonly url: string
  readonly isWell: boolean
  readonly why: string
}
export interface Surroundings {
  /** Of spans. */
  readonly collector: Collector | undefined
  /** Of what is pushed beside them. */
  readonly others: readonly (Collector & { readonly signal: 'logs' | 'metrics' })[]
  readonly ledger: { readonly dir: string; readonly trouble?: string }
  readonly admin: { readonly address: string; readonly trouble?: string }
}

const ANSWER_MS = 3_000

export async function lookAround(env: Env): Promise<Surroundings> {
  const config = loadConfig(env)
  const named = nameLedgerDir(loadSection(trackerOptions, env).ledgerDir, env)
  const place = findLedgerDir(named)
  const [collector, metrics, logs, portTrouble] = await Promise.all([
    askCollector(otlpSettings(config), encodeTraceRequest({}, [])),
    askCollector(config.push?.otlp, NOTHING),
    askCollector(config.logs?.otlp, NOTHING),
    tryPort(config.adminHost, config.adminPort),
  ])
  return {
    collector,
    others: [
      ...(metrics ? [{ signal: 'metrics' as const, ...metrics }] : []),
      ...(logs ? [{ signal: 'logs' as const, ...logs }] : []),
    ],
    ledger: { dir: named ?? '', ...('trouble' in place ? { trouble: place.trouble } : {}) },
    admin: { address: `${config.adminHost}:${config.adminPort}`, ...(portTrouble ? { trouble: portTrouble } : {}) },
  }
}

/** A request of no resource at all. */
const NOTHING = Buffer.alloc(0)

/** An export of nothing: what a collector takes like any other. */
async function askCollector(settings: OtlpSettings | undefined, nothing: Buffer): Promise<Collector | undefined> {
  if (!settings) return undefined
  const timeoutMs = Math.min(settings.timeoutMs, ANSWER_MS)
  const reply = await postOtlp({ ...settings, timeoutMs }, nothing)
  return { url: shownUrl(settings), isWell: reply.ok, why: reply.reason }
}

function tryPort(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message)
    })
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => {
        resolve(undefined)
      })
    })
  })
}
