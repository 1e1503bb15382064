// A trace as text: a tree with one line for each span, and lines below it for what went wrong.
import { printable } from '@afterspan/core/internal'
import { isVolatileKey, stableText } from './stable-text.ts'
import { serviceName, toJson, type SpanValue, type StoredLink, type StoredSpan } from './stored-span.ts'
import { arrangeTree, type TreeNode } from './trace-tree.ts'

export interface DrawOptions {
  /** Fit for comparing in tests: no ids, times, ports or pids; `*` stands for them where names and messages have them. */
  readonly stable?: boolean
  /** Further attributes to show, on every span that has them. */
  readonly attributes?: readonly string[]
  /** With escape sequences for a terminal. */
  readonly color?: boolean
}

interface Drawing {
  readonly options: DrawOptions
  readonly startMs: number
  readonly known: ReadonlyMap<string, StoredSpan>
}
interface Step {
  readonly node: TreeNode
  /** What stands before the node's own line, and before everything below it. */
  readonly lead: string
  readonly below: string
  readonly depth: number
  /** The service of the span above; undefined where there is none. */
  readonly service: string | undefined
}

const MAX_INDENT = 64
const MAX_TEXT = 300
const MAX_LINKS = 8
const SHOWN = ['task.state', 'task.reason', 'task.evidence', 'task.attempt', 'crash.role']

/**
 * The spans as a tree, without a line break at its end; '' for none. Children come by start, then by name. What hangs under a
 * parent that is not among the spans is drawn under a line that says so; a link to the span's own parent is not drawn, the tree says it.
 * From 64 levels on the tree is not indented further.
 */
export function drawTrace(spans: readonly StoredSpan[], options: DrawOptions = {}): string {
  const known = new Map<string, StoredSpan>()
  let startMs = Number.POSITIVE_INFINITY
  for (const span of spans) {
    if (!known.has(span.traceId + span.spanId)) known.set(span.traceId + span.spanId, span)
    startMs = Math.min(startMs, span.startMs)
  }
  const drawing = { options, startMs, known }
  const lines: string[] = []
  // A stack and no recursion: a trace may be as deep as the store is large.
  const open: Step[] = arrangeTree(spans)
    .toReversed()
    .map((node) => ({ node, lead: '', below: '', depth: 0, service: undefined }))
  for (let step = open.pop(); step; step = open.pop()) {
    const { node, lead, below } = step
    lines.push(lead + headline(node, step.service, drawing))
    const rail = node.children.length > 0 ? '│ ' : '  '
    for (const line of node.span ? details(node.span, drawing) : []) lines.push(below + rail + line)
    open.push(...childSteps(step))
  }
  return lines.join('\n')
}

function childSteps({ node, below, depth }: Step): Step[] {
  const service = node.span ? serviceName(node.span) : undefined
  const isDeep = depth >= MAX_INDENT
  return node.children
    .map((child, n) => {
      const isLast = n === node.children.length - 1
      return {
        node: child,
        lead: below + (isLast ? '└─ ' : '├─ '),
        below: isDeep ? below : below + (isLast ? '   ' : '│  '),
        depth: depth + 1,
        service,
      }
    })
    .toReversed()
}

function headline(node: TreeNode, serviceAbove: string | undefined, drawing: Drawing): string {
  const { span } = node
  const { color = false, stable = false } = drawing.options
  if (!span) {
    const parent = stable ? '' : ` ${short(node.parentSpanId ?? '')}…`
    return dim(node.note === 'cycle' ? '(parents form a ring)' : `(parent${parent} not received)`, color)
  }
  const isError = span.status.code === 'error'
  const name = `${isError ? '✗' : '·'} ${shown(span.name, stable)}`
  const service = serviceName(span)
  const facts = [
    span.kind.toUpperCase(),
    ...(service === serviceAbove ? [] : [shown(service, stable)]),
    ...(node.isDuplicate ? ['(same id as another span)'] : []),
  ].join(' ')
  const times = stable ? '' : `  +${duration(span.startMs - drawing.startMs)}  ${duration(span.endMs - span.startMs)}`
  return `${isError && color ? `\u001b[31m${name}\u001b[39m` : name}  ${dim(facts + times, color)}`
}

function details(span: StoredSpan, drawing: Drawing): string[] {
  const { stable = false, attributes = [], color = false } = drawing.options
  const lines: string[] = []
  const failure = span.status.code === 'error' ? failureOf(span, stable) : ''
  if (failure) lines.push(color ? `\u001b[31m${failure}\u001b[39m` : failure)
  if (isWorthTelling(span)) {
    const own = SHOWN.flatMap((key) => attribute(span, `afterspan.${key}`, key, stable))
    if (own.length > 0) lines.push(own.join(' '))
  }
  const asked = attributes.flatMap((key) => attribute(span, key, key, stable))
  if (asked.length > 0) lines.push(asked.join(' '))
  lines.push(...linkLines(span, drawing))
  return lines
}

/** 'error.type: message', each where there is one; from the recorded exception where the span itself does not say. */
function failureOf(span: StoredSpan, stable: boolean): string {
  const exception = span.events.findLast((event) => event.name === 'exception')?.attributes
  const type = span.attributes['error.type'] ?? exception?.['exception.type']
  const message = span.status.message ?? exception?.['exception.message']
  return [type, message]
    .filter((part) => part !== undefined && part !== '')
    .map((part) => shown(plain(part ?? ''), stable))
    .join(': ')
}

/** That a first attempt succeeded is what one expects, and would be under every line. */
function isWorthTelling({ attributes, status }: StoredSpan): boolean {
  const state = attributes['afterspan.task.state'] ?? 'succeeded'
  const attempt = attributes['afterspan.task.attempt'] ?? 1
  return (
    status.code === 'error' ||
    state !== 'succeeded' ||
    Number(attempt) > 1 ||
    ['task.reason', 'task.evidence', 'crash.role'].some((key) => attributes[`afterspan.${key}`] !== undefined)
  )
}

function attribute(span: StoredSpan, key: string, label: string, stable: boolean): string[] {
  const value = span.attributes[key]
  if (value === undefined) return []
  return [`${shown(label, false)}=${stable && isVolatileKey(key) ? '*' : shown(plain(value), stable)}`]
}

function linkLines(span: StoredSpan, { options, known }: Drawing): string[] {
  const isToParent = (link: StoredLink): boolean =>
    link.traceId === span.traceId && link.spanId === span.parentSpanId && known.has(link.traceId + link.spanId)
  const links = span.links.filter((link) => !isToParent(link))
  const lines = links.slice(0, MAX_LINKS).map(({ traceId, spanId }) => {
    const target = known.get(traceId + spanId)
    const ids = options.stable ? '' : ` ${short(traceId)}/${short(spanId)}`
    return `→ link${ids}${target ? ` (${shown(target.name, options.stable ?? false)})` : ''}`
  })
  if (links.length > MAX_LINKS) lines.push(`→ ${links.length - MAX_LINKS} more links`)
  return lines
}

function plain(value: SpanValue): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`
  return typeof value === 'object' && value !== null ? toJson(value) : String(value)
}

/** Text from outside, cut, and without anything that could move a terminal's cursor. */
function shown(text: string, stable: boolean): string {
  const near = text.slice(0, MAX_TEXT * 4)
  const said = stable ? stableText(near) : near
  const isCut = said.length > MAX_TEXT || near.length < text.length
  return printable(said.slice(0, MAX_TEXT).toWellFormed()) + (isCut ? '…' : '')
}

function short(id: string): string {
  return id.slice(0, 8)
}

function duration(ms: number): string {
  const size = Math.abs(ms)
  if (size < 1) return `${ms.toFixed(2)} ms`
  if (size < 100) return `${ms.toFixed(1)} ms`
  return size < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

function dim(text: string, color: boolean): string {
  return color ? `\u001b[2m${text}\u001b[22m` : text
}
