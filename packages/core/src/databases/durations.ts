import type { Histogram, MetricRegistry, Record } from '../metrics/registry.ts'

/** Of the semantic conventions. */
const BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
const LABELS = [
  'db_system_name',
  'db_namespace',
  'db_operation_name',
  'server_address',
  'server_port',
  'error_type',
] as const
/** Of one database. Operations are first words of what is asked: an app has few, a console has any. */
const MOST_OPERATIONS = 100

/** One operation on one database: what its spans are called, and its series. */
export interface Operation {
  readonly name: string
  readonly spanName: string
  /** Seconds of one that went well. */
  readonly record: Record
  recordFailed(seconds: number, errorType: string): void
}

/** Where a connection leads. */
export interface ConnectionParameters {
  readonly database?: unknown
  readonly host?: unknown
  readonly port?: unknown
}
/** `name` is '' where nobody can say. */
type SpanName = (name: string, database: unknown) => string

/** `db_client_operation_duration_seconds` of one kind of server. The series are looked up once for each operation on a connection. */
export class Durations {
  readonly #histogram: Histogram
  readonly #known = new WeakMap<ConnectionParameters, Map<string, Operation>>()
  /** As in `db.system.name`. */
  readonly #system: string
  readonly #spanName: SpanName

  constructor(metrics: MetricRegistry, system: string, spanName: SpanName) {
    this.#system = system
    this.#spanName = spanName
    this.#histogram = metrics.histogram(
      'db_client_operation_duration_seconds',
      'Duration of database client operations.',
      'seconds',
      BOUNDS,
      LABELS,
    )
  }

  /** `name` is '' where nobody can say. */
  of(to: ConnectionParameters, name: string): Operation {
    let operations = this.#known.get(to)
    if (!operations) this.#known.set(to, (operations = new Map()))
    const known = operations.get(name)
    if (known) return known
    const made = this.#make(to, name)
    if (operations.size < MOST_OPERATIONS) operations.set(name, made)
    return made
  }

  #make({ database, host, port }: ConnectionParameters, name: string): Operation {
    const values = [this.#system, text(database), name, text(host), text(port)]
    const histogram = this.#histogram
    return {
      name,
      spanName: this.#spanName(name, database),
      record: histogram.bind(...values),
      recordFailed(seconds, errorType) {
        histogram.record(seconds, ...values, errorType)
      },
    }
  }
}

/** As the semantic conventions have it where the table is not known: `SELECT shop`. `unknown` is what an operation is called that nobody knows. */
export function namedBy(unknown: string): SpanName {
  return (name, database) => [name || unknown, database].filter(Boolean).join(' ')
}

function text(value: unknown): string {
  return value === undefined || value === null ? '' : String(value as string)
}
