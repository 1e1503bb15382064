import { readFileSync, watch } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repositoryRoot } from './repository.ts'
import { runApp } from './run-app.ts'
import type { AppOptions, RunningApp } from './run-app.ts'
import { deferred } from './signals.ts'
import { tempDir } from './temp-dir.ts'

export type PreloadWay = 'NODE_OPTIONS' | 'import' | 'require'

export interface PreloadedOptions extends Omit<AppOptions, 'args'> {
  /** Path of the app's file: .cjs, .mjs, .js or .ts. */
  readonly app: string
  /** What comes after the app's file. */
  readonly args?: readonly string[]
  /** Where the ledger and the journals live. Default: a new folder; give one to start a second app on it. */
  readonly ledgerDir?: string
  /** Default: 'require'. */
  readonly preload?: PreloadWay
  /** The file to preload. Default: what `afterspan/register` resolves to. */
  readonly register?: string
  /** Where the spans go: the OTLP sink, or all that has its address. Without one they go nowhere. */
  readonly sink?: { readonly url: string }
}

export interface PreloadedApp extends RunningApp {
  readonly ledgerDir: string
  /** The address of the admin listener, once it listens; rejects with the outputs when the app ends before, or the time is over. */
  adminUrl(timeoutMs?: number): Promise<string>
}

/** Starts an app as a user would: the built `afterspan/register` is loaded first, and the app knows nothing of it. */
export function startPreloaded(options: PreloadedOptions): PreloadedApp {
  const { app, args = [], env = {}, ledgerDir = tempDir('ledger'), preload = 'require', register, sink } = options
  const { cwd, input, node } = options
  const addressFile = join(tempDir('admin'), 'address')
  const way = preloadBy(preload, register ?? registerPath())
  const child = runApp({
    ...(cwd === undefined ? {} : { cwd }),
    ...(input === undefined ? {} : { input }),
    ...(node === undefined ? {} : { node }),
    args: [...way.args, app, ...args],
    env: {
      ...way.env,
      ...(sink ? { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url } : { OTEL_TRACES_EXPORTER: 'none' }),
      AFTERSPAN_ADMIN_ADDRESS_FILE: addressFile,
      AFTERSPAN_LEDGER_DIR: ledgerDir,
      OTEL_EXPORTER_PROMETHEUS_PORT: '0',
      ...env,
    },
  })
  // onto the app itself: a copy would freeze its outputs at what they are now
  return Object.assign(child, {
    adminUrl: (timeoutMs = 10_000) => addressIn(addressFile, child, timeoutMs),
    ledgerDir,
  })
}

/** The built file behind `afterspan/register`, as an app that depends on afterspan would find it. */
export function registerPath(): string {
  return createRequire(join(repositoryRoot(), 'packages/testing/package.json')).resolve('afterspan/register')
}

function preloadBy(way: PreloadWay, path: string): { args: readonly string[]; env: Record<string, string> } {
  if (way === 'NODE_OPTIONS') return { args: [], env: { NODE_OPTIONS: `--require ${JSON.stringify(path)}` } }
  if (way === 'import') return { args: ['--import', pathToFileURL(path).href], env: {} }
  return { args: ['--require', path], env: {} }
}

async function addressIn(file: string, child: RunningApp, timeoutMs: number): Promise<string> {
  const { promise, reject, resolve } = deferred<string>()
  const watcher = watch(dirname(file), (_, name) => {
    if (name === null || name === basename(file)) look()
  })
  const deadline = setTimeout(() => fail(`no admin listener within ${timeoutMs} ms`), timeoutMs)
  void child.exit.then(({ code, signal }) => fail(`the app ended (${signal ?? `code ${code}`}), no admin listener`))
  look() // it may have been written before the watch began
  return promise.finally(() => {
    clearTimeout(deadline)
    watcher.close()
  })

  function look(): void {
    const address = /^http:\/\/\S+:\d+(?=\/?\s*$)/.exec(contentOf(file))
    if (address) resolve(address[0])
  }
  function fail(why: string): void {
    reject(new Error(`${why}\n-- stdout --\n${child.stdout}\n-- stderr --\n${child.stderr}`))
  }
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // not there yet
  }
}
