import { setTimeout as wait } from 'node:timers/promises'
import { AfterspanError, type Receipt } from '@afterspan/core/internal'
import { askPatrol } from './socket.ts'

const BEGINS_WITHIN_MS = 2_000
const ASK_AGAIN_MS = 50

/**
 * The receipt of a trace, from whoever patrols the folder. Where nobody does yet, `begin` is to see to it; without it nobody is waited
 * for. Rejects with AFS_PATROL_FAILED where nobody begins, or where the trace id is not one.
 */
export async function askReceipt(dir: string, traceId: string, begin?: () => void): Promise<Receipt> {
  const path = `/receipt/${encodeURIComponent(traceId)}`
  let answer = await askPatrol(dir, path)
  if (!answer) begin?.()
  const until = performance.now() + (begin ? BEGINS_WITHIN_MS : 0)
  while (!answer && performance.now() < until) {
    await wait(ASK_AGAIN_MS)
    answer = await askPatrol(dir, path)
  }
  if (!answer) throw new AfterspanError('AFS_PATROL_FAILED', `nobody patrols ${dir}`)
  if (answer.status !== 200)
    throw new AfterspanError('AFS_PATROL_FAILED', (answer.body as { error?: string }).error ?? String(answer.status))
  return answer.body as Receipt
}
