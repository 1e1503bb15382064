import type { TaskId } from '../contracts/task.ts'
import type { LinkedList, Links } from '../linked-list.ts'
import type { RecordedSpan } from '../sdk/recorded-span.ts'

/** A CLIENT or INTERNAL span of a request that is still open: a task, if it outlives the response. */
export interface OpenCall extends Links<OpenCall> {
  readonly span: RecordedSpan
  /** Part of other work: a child of an open leftover, or of a task's own span. */
  readonly isInside: boolean
  /** What else is open of the request, this among it. Undefined: the response had ended before. */
  readonly others: LinkedList<OpenCall> | undefined
  taskId: TaskId | undefined
}
