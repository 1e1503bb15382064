// The JavaScript stack of the blocked main thread, taken from the side thread by a short CPU profile. The profiler only samples: nothing
// is paused, so nothing can stay paused. What it asks for is done at the next interrupt that V8 takes, in the middle of the loop that
// blocks; in native code there is none, and then that is the answer.
import type { MainSession, SideHost } from '@afterspan/core/internal'
import { relative } from '../made-at.ts'

const ANSWER_MS = 250
const PROFILE_MS = 50
const MOST_FRAMES = 20

/** Outermost last. */
export type MainStack =
  | { readonly kind: 'javascript'; readonly frames: readonly string[] }
  /** No JavaScript ran: a synchronous call of Node's or an addon's. */
  | { readonly kind: 'native' }

interface ProfileNode {
  readonly id: number
  readonly hitCount?: number
  readonly children?: readonly number[]
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[]
}

/** Undefined where the main thread cannot be asked, or the process is leaving. Never rejects. */
export function takeMainStack({ inspectMain }: Pick<SideHost, 'inspectMain'>): Promise<MainStack | undefined> {
  return inspectMain(profile)
}

async function profile({ post, within }: MainSession): Promise<MainStack | undefined> {
  // The cheapest command: in native code it is not answered, and nothing that costs is left for later.
  const enabled = await within(post('Profiler.enable'), ANSWER_MS)
  if (enabled === 'left') return undefined
  if (enabled === 'late') return { kind: 'native' }
  await within(post('Profiler.setSamplingInterval', { interval: 1000 }), ANSWER_MS)
  if (typeof (await within(post('Profiler.start'), 4 * ANSWER_MS)) === 'string') return undefined
  if ((await within(new Promise(() => {}), PROFILE_MS)) === 'left') return undefined
  const stopped = await within(post('Profiler.stop'), 4 * ANSWER_MS)
  if (typeof stopped === 'string') return undefined
  const frames = hottestStack((stopped as { profile: { nodes: readonly ProfileNode[] } }).profile.nodes)
  return frames.length > 0 ? { kind: 'javascript', frames } : undefined
}

/** The stack under which most samples were taken, the app's and its libraries' frames; of the innermost function the line that was hot, of the others the line where they begin. */
export function hottestStack(nodes: readonly ProfileNode[]): string[] {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)))
  const own = nodes.filter((node) => isCode(node) && (node.hitCount ?? 0) > 0)
  const hottest = own.sort((a, b) => (b.hitCount ?? 0) - (a.hitCount ?? 0))[0]
  const frames: string[] = []
  for (let node = hottest; node && frames.length < MOST_FRAMES; node = parents.get(node.id))
    if (byId.has(node.id) && isCode(node)) frames.push(frameOf(node, node === hottest))
  return frames
}

/** Not `(root)`, `(program)`, `(idle)`, nor Node's own timers and streams. */
function isCode({ callFrame: { url } }: ProfileNode): boolean {
  return url !== '' && !url.startsWith('node:')
}

function frameOf({ callFrame, positionTicks }: ProfileNode, isInnermost: boolean): string {
  const hot = [...(positionTicks ?? [])].sort((a, b) => b.ticks - a.ticks)[0]
  const line = isInnermost && hot ? hot.line : callFrame.lineNumber + 1
  return `${callFrame.functionName || '(anonymous)'} (${relative(callFrame.url)}:${line})`
}
