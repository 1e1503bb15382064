/** Every code that Afterspan can print or throw. Codes are never reused; docs/errors.md has a paragraph for each (a test compares). */
export const ERROR_CODES = {
  AFS_ADMIN_PORT_BUSY: 'the admin listener could not take its port; it retries',
  AFS_API_MISMATCH: 'the app has an @opentelemetry/api that cannot reach the one of Afterspan',
  AFS_API_TAKEN: 'another OpenTelemetry SDK, or another version of its API, was loaded first',
  AFS_BOOT_FAILED: 'a part of Afterspan could not start; the app runs without that part',
  AFS_CONFIG_INVALID: 'a variable has a value that is not allowed; the default is used',
  AFS_CONFIG_UNKNOWN: 'a variable that starts with AFTERSPAN_ or OTEL_ is not known: most often a slip',
  AFS_CONFIG_UNSUPPORTED: 'a variable of OpenTelemetry is set that Afterspan does not act on',
  AFS_EXPORT_FAILED: 'spans could not be delivered to the collector',
  AFS_HANDLER_FAILED: 'a request handler threw or rejected; safeHandler answered 500',
  AFS_HEALTH_CHANGED: 'the status of a health check has changed',
  AFS_HEALTH_LISTENER: 'a listener of health.onChange() threw or rejected; the others were told',
  AFS_HOOK_FAILED: 'an instrumentation could not patch its module; the app got the module as it was',
  AFS_HOOK_UNSUPPORTED: 'this version of a module, or of Node, is not supported by an instrumentation',
  AFS_JOURNAL_FAILED: 'the journal could not be written; tasks are counted in memory only',
  AFS_LEDGER_DIR: 'the ledger folder cannot be used; outcomes are kept in memory only',
  AFS_LEDGER_FAILED: 'the ledger could not be opened or written; journals wait on disk',
  AFS_METRIC_REFUSED: 'a callback, a value or attributes of an instrument of the app could not be taken',
  AFS_LOADED_TOO_EARLY: 'modules were loaded before the preload and are not instrumented',
  AFS_NEIGHBOUR: 'another tracing agent is loaded into the same process',
  AFS_NODE_UNSUPPORTED: 'this Node is older than Afterspan needs; the app runs without it',
  AFS_PATROL_FAILED: 'a sweep of the patrol failed; it goes on with the next one',
  AFS_PROBE_REJECTED: 'a health probe could not be registered; the others go on',
  AFS_SECOND_SDK: 'the app starts another OpenTelemetry SDK beside Afterspan',
  AFS_REPORT_FAILED:
    'incidents could not be told to the webhook or to a callback; traces and ledger have them all the same',
  AFS_SIDE_THREAD: 'the side thread could not be started or has ended; its work moves to the main thread or waits',
} as const
export type ErrorCode = keyof typeof ERROR_CODES

const BRAND = Symbol.for('afterspan.error')

/** Thrown at boot, by configuration, by the command line and in tests; never into the app's call path. */
export class AfterspanError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(`${code} ${message}`, options)
    this.name = 'AfterspanError'
    this.code = code
  }

  get [BRAND](): true {
    return true
  }

  /** The preload and what the app imports have a copy of this class each: an error of one is one of the other. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value
  }
}
