import { SpanStatusCode } from '@opentelemetry/api'
import type { RequestOutcome } from '../contracts/task.ts'
import { describeException } from '../sdk/request-span.ts'
import type { LoggedError } from './logged-error.ts'
import type { Open } from './open-request.ts'

const ABORTED_BY: Readonly<Record<Exclude<RequestOutcome, 'sent'>, string>> = {
  aborted_by_client: 'client',
  aborted_by_server: 'server',
  crashed: 'crash',
  timed_out: 'timeout',
}

/** Sets status, error.type and the one exception of the SERVER span; returns error.type for the metric. */
export function giveVerdict(open: Open, outcome: RequestOutcome, status: number | undefined): string | undefined {
  const { span } = open
  // null is something to throw too
  const error = open.error === undefined ? loggedError(open, outcome, status) : open.error
  let errorType: string | undefined
  if (outcome !== 'sent') {
    if (outcome !== 'aborted_by_client' || !open.isEventStream) errorType = outcome
    span.setAttribute('afterspan.http.aborted_by', ABORTED_BY[outcome])
  } else if (status !== undefined && status >= 500) errorType = String(status)
  else errorType = open.failure
  if (error !== undefined) {
    if (!span.hasException) span.recordException(error as Error)
    if (errorType !== undefined) {
      const described = describeException(error)
      if (outcome === 'crashed' || (status !== undefined && open.failure === undefined)) errorType = described.type
      span.setStatus({ code: SpanStatusCode.ERROR, message: described.message })
    } // else the app turned it into an answer below 500: seen, and no error of the request
  }
  if (errorType !== undefined) {
    span.setAttribute('error.type', errorType)
    if (span.statusCode === 0) span.setStatus({ code: SpanStatusCode.ERROR })
  }
  return errorType
}

/** Frameworks that are not known, or were bundled into the app, put on the console what they turn into a 5xx; handlers of the app that catch put it into its log. */
function loggedError({ span, logged }: Open, outcome: RequestOutcome, status = 0): LoggedError | undefined {
  if (logged === undefined || outcome !== 'sent' || status < 500) return undefined
  span.setAttribute('afterspan.exception.source', logged.source)
  return logged.error
}
