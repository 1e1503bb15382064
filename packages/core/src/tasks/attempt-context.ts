import { createContextKey, type Context, type Span } from '@opentelemetry/api'
import type { TaskId } from '../contracts/task.ts'
import { REQUEST_KEY, TASK_KEY } from '../http/request-record.ts'
import { LayeredContext, SPAN_KEY } from '../sdk/request-context.ts'

const ATTEMPT_KEY: symbol = createContextKey('afterspan.attempt')

/** The context of an attempt: its span and its task over what the message carried, and no request. One object, where the API makes three Maps for every job. */
export class AttemptContext extends LayeredContext {
  readonly #carried: Context
  readonly #span: Span
  readonly #taskId: TaskId
  /** What runs in it now was left behind. */
  isOver = false
  /** It is another process or thread that tells how it ends. */
  isResumed = false

  constructor(carried: Context, span: Span, taskId: TaskId) {
    super()
    this.#carried = carried
    this.#span = span
    this.#taskId = taskId
  }
  getValue(key: symbol): unknown {
    if (key === SPAN_KEY) return this.#span
    if (key === TASK_KEY) return this.#taskId
    if (key === ATTEMPT_KEY) return this
    return key === REQUEST_KEY ? undefined : this.#carried.getValue(key)
  }
}

/** The attempt that `from` belongs to, also where that lies over it. */
export function attemptOf(from: Context): AttemptContext | undefined {
  return from.getValue(ATTEMPT_KEY) as AttemptContext | undefined
}
