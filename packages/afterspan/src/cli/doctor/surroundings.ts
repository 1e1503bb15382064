// What an app with the preload needs around it, asked before it is started.
import { createServer } from 'node:net'
import { findLedgerDir, nameLedgerDir, trackerOptions } from '@afterspan/async-tracker/internal'
import {
  encodeTraceRequest,
  loadConfig,
  loadSection,
  otlpSettings,
  postOtlp,
  shownUrl,
  type Env,
} from '@afterspan/core/internal'

export interface Surroundings {
  readonly collector: { readonly url: string; readonly isWell: boolean; readonly why: string } | undefined
  readonly ledger: { readonly dir: string; readonly trouble?: string }
  readonly admin: { readonly address: string; readonly trouble?: string }
}

const ANSWER_MS = 3_000

export async function lookAround(env: Env): Promise<Surroundings> {
  const config = loadConfig(env)
  const named = nameLedgerDir(loadSection(trackerOptions, env).ledgerDir, env)
  const place = findLedgerDir(named)
  const [collector, portTrouble] = await Promise.all([
    askCollector(otlpSettings(config)),
    tryPort(config.adminHost, config.adminPort),
  ])
  return {
    collector,
    ledger: { dir: named ?? '', ...('trouble' in place ? { trouble: place.trouble } : {}) },
    admin: { address: `${config.adminHost}:${config.adminPort}`, ...(portTrouble ? { trouble: portTrouble } : {}) },
  }
}

/** An export without spans: what a collector takes like any other. */
async function askCollector(settings: ReturnType<typeof otlpSettings>): Promise<Surroundings['collector']> {
  if (!settings) return undefined
  const timeoutMs = Math.min(settings.timeoutMs, ANSWER_MS)
  const reply = await postOtlp({ ...settings, timeoutMs }, encodeTraceRequest({}, []))
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
