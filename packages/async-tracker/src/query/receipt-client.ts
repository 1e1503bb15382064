import { AfterspanError, type Receipt } from '@afterspan/core/internal'
import { askPatrol } from './socket.ts'

/** The receipt of a trace, from whoever patrols the folder. Rejects with AFS_PATROL_FAILED where nobody does, or where the trace id is not one. */
export async function askReceipt(dir: string, traceId: string): Promise<Receipt> {
  const answer = await askPatrol(dir, `/receipt/${encodeURIComponent(traceId)}`)
  if (!answer) throw new AfterspanError('AFS_PATROL_FAILED', `nobody patrols ${dir}`)
  if (answer.status !== 200)
    throw new AfterspanError('AFS_PATROL_FAILED', (answer.body as { error?: string }).error ?? String(answer.status))
  return answer.body as Receipt
}
