import type { AdminReply, AdminRequest } from '@afterspan/core/internal'
import { preferredFormat } from './render.ts'
import { reply } from './reply.ts'
import type { MainStack } from './stall/main-stack.ts'
import type { CheckState } from './snapshot.ts'
import type { StallWatch } from './stall/stall-watch.ts'

export interface Liveness {
  /** 0 while the main thread is well. */
  readonly silentMs: number
  /** From here on a restart is the better way. */
  readonly stallMs: number
  readonly stalls: Pick<StallWatch, 'current' | 'last'> | undefined
  /** Checks that fail, and that a restart would mend. */
  readonly wedged: readonly CheckState[]
}

/** Asks no dependency, and is well while the main thread is only busy: 503 means that a restart would help. */
export function livez(request: AdminRequest, { silentMs, stallMs, stalls, wedged }: Liveness): AdminReply {
  const isThere = silentMs <= stallMs
  const ok = isThere && wedged.length === 0
  const format = preferredFormat(request.headers['accept'], 'text')
  const stack = request.trusted && silentMs > 0 ? stalls?.current()?.stack : undefined
  if (format === 'text') {
    if (ok && silentMs === 0) return request.query.has('verbose') ? LIVE_VERBOSE : LIVE
    if (ok && !request.query.has('verbose')) return LIVE
    const lines = [
      mainLine(silentMs, isThere),
      ...inText(stack),
      ...wedged.map((its) => wedgedLine(its, request.trusted)),
    ]
    return reply(ok ? 200 : 503, 'text', `${lines.join('\n')}\nlivez check ${ok ? 'passed' : 'failed'}\n`)
  }
  const ofMain = silentMs === 0 ? 'pass' : isThere ? 'warn' : 'fail'
  const entry = {
    status: ofMain,
    ...(request.trusted ? { observedValue: Math.round(silentMs), observedUnit: 'ms' } : {}),
    ...(stack ? { stack: stack.kind === 'javascript' ? stack.frames : NATIVE } : {}),
  }
  const checks = {
    'main-thread:silence': [entry],
    ...(request.trusted ? lastStall(stalls) : {}),
    ...Object.fromEntries(wedged.map((its) => [`${its.name}:wedged`, [wedgedEntry(its, request.trusted)]])),
  }
  return reply(ok ? 200 : 503, format, JSON.stringify({ status: ok ? ofMain : 'fail', checks }))
}

function mainLine(silentMs: number, isThere: boolean): string {
  if (silentMs === 0) return '[+]main-thread ok'
  return `[${isThere ? '+' : '-'}]main-thread ${isThere ? 'warn' : 'failed'}: silent for ${Math.round(silentMs)} ms`
}

function wedgedLine({ name, code, reason }: CheckState, isTrusted: boolean): string {
  const why = isTrusted ? [code, reason].filter((word) => word !== undefined).join(': ') : 'reason withheld'
  return `[-]${name} failed: ${why}`
}

function wedgedEntry({ code, reason, since }: CheckState, isTrusted: boolean): Record<string, unknown> {
  return {
    status: 'fail',
    ...(code === undefined ? {} : { code }),
    ...(isTrusted && reason !== undefined ? { output: reason } : {}),
    ...(isTrusted && since !== undefined ? { since: new Date(since).toISOString() } : {}),
  }
}

const NATIVE = 'no JavaScript is running: a synchronous call into Node or an addon blocks'

function inText(stack: MainStack | undefined): string[] {
  if (!stack) return []
  return stack.kind === 'javascript' ? stack.frames.map((frame) => `    at ${frame}`) : [`    ${NATIVE}`]
}

function lastStall(stalls: Liveness['stalls']): Record<string, unknown> {
  const last = stalls?.last()
  if (!last) return {}
  const { silentMs, stack, endedMsAgo } = last
  return {
    'main-thread:lastStall': [
      {
        status: 'pass',
        observedValue: Math.round(silentMs),
        observedUnit: 'ms',
        time: new Date(Date.now() - endedMsAgo).toISOString(),
        ...(stack ? { stack: stack.kind === 'javascript' ? stack.frames : NATIVE } : {}),
      },
    ],
  }
}

const LIVE = reply(200, 'text', 'ok')
const LIVE_VERBOSE = reply(200, 'text', '[+]main-thread ok\nlivez check passed\n')
