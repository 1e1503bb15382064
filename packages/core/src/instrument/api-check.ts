// Who else speaks for OpenTelemetry in this process: globals that were taken before, another SDK that comes after, an API that
// cannot reach ours. Each is named, because each looks like "there are no spans".
import {
  context,
  metrics,
  propagation,
  trace,
  type ContextManager,
  type MeterProvider,
  type TextMapPropagator,
  type TracerProvider,
} from '@opentelemetry/api'
import type { ModuleHook } from '../contracts/module-hook.ts'
import { say } from '../diag.ts'

/** Our own copy of the API, by which the globals are registered. */
export const API_VERSION = '1.10.0'
const API_KEY = Symbol.for('opentelemetry.js.api.1')

/** Takes OpenTelemetry's four globals. One that is taken already means a second SDK, or an API of another version that was there first: it is named. */
export function setGlobals(ours: {
  readonly manager: ContextManager
  readonly meterProvider: MeterProvider
  readonly propagator: TextMapPropagator
  readonly tracerProvider: TracerProvider
}): void {
  const { version = API_VERSION } = (globalThis as { [API_KEY]?: { version?: string } })[API_KEY] ?? {}
  const taken: string[] = []
  if (!context.setGlobalContextManager(ours.manager)) taken.push('context')
  if (!trace.setGlobalTracerProvider(ours.tracerProvider)) taken.push('traces')
  if (!propagation.setGlobalPropagator(ours.propagator)) taken.push('propagation')
  if (!metrics.setGlobalMeterProvider(ours.meterProvider)) taken.push('metrics')
  if (taken.length === 0) return
  const who = version === API_VERSION ? 'another SDK' : `@opentelemetry/api ${version}`
  say(
    'AFS_API_TAKEN',
    `OpenTelemetry's ${taken.join(', ')} belong to ${who}, loaded first: ` +
      `those signals of Afterspan are incomplete. Load afterspan/register before it, or remove it.`,
  )
}

type Setter = (provider: unknown) => boolean

/** Looks at each copy of the API that the app loads: whether it reaches our globals, and whether another SDK asks for them. */
export function apiHook(): ModuleHook {
  return {
    name: '@opentelemetry/api',
    module: '@opentelemetry/api',
    versions: '*',
    patch(exports: { readonly trace?: object; readonly metrics?: object }, { version }) {
      if (!reachesOurs(version))
        say(
          'AFS_API_MISMATCH',
          `the app's @opentelemetry/api ${version} cannot reach Afterspan's (${API_VERSION}): what it makes by itself is not recorded. Install @opentelemetry/api ${API_VERSION} in the app.`,
        )
      watchSetter(exports.trace, 'setGlobalTracerProvider', 'traces')
      watchSetter(exports.metrics, 'setGlobalMeterProvider', 'metrics')
    },
  }
}

/** The API's own rule: the same major version, and not newer than what registered the globals. */
function reachesOurs(version: string): boolean {
  const [major, minor = 0] = version.split('.').map(Number)
  const [ourMajor, ourMinor = 0] = API_VERSION.split('.').map(Number)
  return version === '' || (major === ourMajor && minor <= ourMinor)
}

function watchSetter(api: object | undefined, name: string, signal: string): void {
  const holder = api as Record<string, Setter> | undefined
  const original = holder?.[name]
  if (!holder || typeof original !== 'function') return
  holder[name] = function (provider) {
    const isTaken = original.call(this, provider)
    if (!isTaken) saySecond(signal, new Error().stack)
    return isTaken
  }
}

function saySecond(signal: string, stack: string | undefined): void {
  const place = /\(?((?:file:\/\/)?\/[^()\n]*?):\d+:\d+\)?$/gm
  const callers = [...(stack ?? '').matchAll(place)].map(([, file]) => file!).filter((file) => file !== __filename)
  const caller = callers.find((file) => !file.includes('/@opentelemetry/')) ?? callers[0]
  const who = caller ? ` (started by ${caller})` : ''
  say(
    'AFS_SECOND_SDK',
    `another OpenTelemetry SDK${who} asked for the ${signal} that Afterspan has, and was refused. Spans of the API go through Afterspan; what that SDK instruments itself is traced twice. Take it out of the app, or set AFTERSPAN_DISABLED=1.`,
    'second',
  )
}
