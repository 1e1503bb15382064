// What is asked about work on an admin listener, that of an app or that of a patrol of its own.
import type { AdminHandler, AdminReply } from '@afterspan/core/internal'
import type { Answer } from './answer.ts'

/** Answers `/receipt/<traceId>` and `/tasks`, to those who may know. */
export function routeQuestions(
  listener: { route(prefix: string, handler: AdminHandler): void },
  ask: (path: string, query: URLSearchParams) => Promise<Answer>,
): void {
  for (const prefix of ['/receipt/', '/tasks'])
    listener.route(prefix, async ({ path, query, trusted }) => json(trusted ? await ask(path, query) : NOT_TRUSTED))
}

const NOT_TRUSTED: Answer = { status: 403, body: { error: 'loopback or the admin token only' } }

function json({ status, body }: Answer): AdminReply {
  return { status, headers: { 'content-type': 'application/json' }, body: `${JSON.stringify(body)}\n` }
}
