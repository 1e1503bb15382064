// What the side thread's Worker loads: the rest of it comes from kept code.
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { requireKept, useKeptCode } from '../code-cache.ts'
import type { runThread } from './main.ts'
import { SIDE_THREAD_MARK } from './mark.ts'
import type { LastWords, SideThreadData } from './protocol.ts'

type Data = (SideThreadData | LastWords) & { readonly [SIDE_THREAD_MARK]?: true; readonly codeFlags?: string }

const data = workerData as Data | null
if (parentPort && data?.[SIDE_THREAD_MARK]) {
  if (data.codeFlags !== undefined) useKeptCode(data.codeFlags)
  const side = requireKept(join(__dirname, 'side-main.js')) as { runThread: typeof runThread }
  side.runThread(parentPort, data)
}
