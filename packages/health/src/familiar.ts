// The same verdict in the words of others, for dashboards and balancers that read those: Spring Boot Actuator's, and terminus's.
import type { CheckState } from './snapshot.ts'
import type { JudgedCheck, Verdict } from './verdict.ts'

/** Spring has no warning: what warns is up. Who was asked to leave, or has not begun, is out of service. */
export function renderSpring(verdict: Verdict, trusted: boolean): string {
  const components = verdict.checks
    .filter(({ excluded }) => !excluded)
    .map((check) => {
      const status = check.status === undefined ? 'UNKNOWN' : check.status === 'fail' ? 'DOWN' : 'UP'
      const details = trusted ? detailsOf(check) : {}
      return [check.state.name, { status, ...(Object.keys(details).length > 0 ? { details } : {}) }] as const
    })
  return JSON.stringify({ status: springStatus(verdict), components: Object.fromEntries(components) })
}

function springStatus({ ok, code }: Verdict): string {
  if (ok) return 'UP'
  return code === 'draining' || code === 'starting' ? 'OUT_OF_SERVICE' : 'DOWN'
}

/** `info` has what is well, `error` what is not, `details` both, as @nestjs/terminus has it; @godaddy/terminus has the same words. */
export function renderTerminus(verdict: Verdict, trusted: boolean): string {
  const info: Record<string, unknown> = {}
  const error: Record<string, unknown> = {}
  for (const check of verdict.checks) {
    if (check.excluded) continue
    const isUp = check.status !== 'fail'
    const into = isUp ? info : error
    const { code } = check.state
    into[check.state.name] = {
      status: isUp ? 'up' : 'down',
      ...(isUp || code === undefined ? {} : { message: code }),
      ...(trusted ? detailsOf(check) : {}),
    }
  }
  const status = verdict.ok ? 'ok' : verdict.code === 'draining' ? 'shutting_down' : 'error'
  return JSON.stringify({ status, info, error, details: { ...info, ...error } })
}

/** What the trusted see of a check, flat. */
function detailsOf({ state, status }: JudgedCheck): Record<string, unknown> {
  const { code, reason, since, trace, endpoints, observed } = state
  return {
    ...(status === 'warn' ? { warning: code ?? 'warn' } : code === undefined ? {} : { code }),
    ...(reason === undefined || state.status === undefined ? {} : { reason }),
    ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
    ...(trace === undefined ? {} : { trace }),
    ...(endpoints ? { affectedEndpoints: endpoints } : {}),
    ...measured(observed),
  }
}

function measured(observed: CheckState['observed']): Record<string, unknown> {
  return Object.fromEntries(Object.entries(observed ?? {}).map(([name, { value }]) => [name, value]))
}
