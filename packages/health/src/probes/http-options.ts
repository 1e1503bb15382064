import type { HealthProbe } from '@afterspan/core/internal'

/** What an HTTP service must answer. Only `url` is needed: then any 2xx within the deadline is well. */
export interface HttpProbeOptions {
  /** http: or https:. Its host, path and query are never told. */
  readonly url: string | URL
  /** In /readyz/<name>. Default: 'http'. */
  readonly name?: string
  /** Default: 'required'. */
  readonly criticality?: HealthProbe['criticality']
  readonly groups?: readonly string[]
  readonly intervalMs?: number
  readonly timeoutMs?: number
  /** Default: GET. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The status, or those that are well. Default: 200 to 299. */
  readonly status?: number | readonly number[]
  /** The media type that the answer must have, without parameters: 'application/json'. */
  readonly contentType?: string
  /** What the body must contain, match, or be as this says. At most one mebibyte is read. */
  readonly text?: string | RegExp | ((body: string) => boolean)
  /** What the body must have as JSON, at least: { status: 'up' }. Or a function that says whether it is well. */
  readonly json?: unknown
  /** Redirects that are followed; headers that you gave go no further than their origin. Default: 0, then one is a fail. */
  readonly redirects?: number
  /** Milliseconds above which an answer that is right is a warning. */
  readonly slowMs?: number
  /** Days before the end of the server's certificate from which on there is a warning. Default: 14. */
  readonly certificateDays?: number
  /** For node:http or node:https, such as { ca, agent, rejectUnauthorized, servername }: the app's own agent, where it has one. */
  readonly request?: Readonly<Record<string, unknown>>
}
