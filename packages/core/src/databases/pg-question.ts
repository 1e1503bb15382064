import type { Context } from '@opentelemetry/api'
import type { MetricRegistry } from '../metrics/registry.ts'
import { Durations, type ConnectionParameters } from './durations.ts'
import { attributesOf } from './pg-connection.ts'
import { Question } from './question.ts'
import { operationIn } from './sql-operation.ts'
import type { Teller } from './teller.ts'

export const PRODUCT = 'PostgreSQL'

/** What pg is asked, in the forms in which it says what it is: a text, a config, or an object that submits itself. */
interface Asked {
  readonly text?: unknown
  readonly name?: unknown
  /** Of a stream of rows. */
  readonly cursor?: Asked
}

export function pgDurations(metrics: MetricRegistry): Durations {
  return new Durations(metrics, 'postgresql', spanNameOf)
}

export function askPg(
  startSpan: Teller['startSpan'],
  durations: Durations,
  to: ConnectionParameters,
  asked: unknown,
  caller: Context,
): Question {
  const { cursor, name, text = cursor?.text }: Asked = typeof asked === 'string' ? { text: asked } : (asked ?? {})
  const isKnown = typeof text === 'string'
  const operation = durations.of(to, isKnown ? operationIn(text) : '')
  const attributes = attributesOf(to)
  if (isKnown) {
    if (text !== '') attributes['db.query.text'] = text
    if (typeof name === 'string') attributes['db.postgresql.plan'] = name
  }
  const spanName = !isKnown
    ? 'pg.query'
    : typeof name === 'string' && name !== ''
      ? spanNameOf(name, to.database)
      : operation.spanName
  return new Question(startSpan(spanName, attributes, caller), operation, PRODUCT)
}

function spanNameOf(name: string, database: unknown): string {
  return `pg.query:${name}${database ? ` ${String(database as string)}` : ''}`
}
