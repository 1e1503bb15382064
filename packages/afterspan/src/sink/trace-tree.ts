import type { StoredSpan } from './stored-span.ts'

/** One span in the tree, or what stands where a span should be: a parent that was not received, a ring of parents. */
export interface TreeNode {
  readonly span: StoredSpan | undefined
  readonly note?: 'cycle' | 'missing_parent'
  readonly parentSpanId?: string
  /** Another span has the same id. */
  isDuplicate: boolean
  children: TreeNode[]
}

/** Every span once, under its parent, ordered by start and then by name. Finite for any input: a ring is cut where it starts first. */
export function arrangeTree(spans: readonly StoredSpan[]): readonly TreeNode[] {
  const byId = new Map<string, TreeNode>()
  const nodes = spans.map((span): TreeNode => {
    const key = span.traceId + span.spanId
    const holder = byId.get(key)
    // The one that came first holds the children, in whatever order the spans are handed in.
    const isFirst = holder === undefined || (holder.span?.duplicateId === true && span.duplicateId !== true)
    const node: TreeNode = { span, isDuplicate: !isFirst || span.duplicateId === true, children: [] }
    if (isFirst) byId.set(key, node)
    return node
  })
  nodes.sort(byStart)
  const top: TreeNode[] = []
  const missing = new Map<string, TreeNode>()
  for (const node of nodes) {
    const { traceId = '', parentSpanId } = node.span ?? {}
    if (parentSpanId === undefined) top.push(node)
    else (byId.get(traceId + parentSpanId) ?? standIn(missing, traceId, parentSpanId)).children.push(node)
  }
  top.push(...missing.values())
  const reached = new Set<TreeNode>()
  for (const node of top) reach(node, reached)
  for (const node of nodes)
    if (!reached.has(node)) {
      const ring: TreeNode = { span: undefined, note: 'cycle', isDuplicate: false, children: [startOfRing(node, byId)] }
      reach(ring, reached)
      top.push(ring)
    }
  return top.sort(byStart)
}

function standIn(missing: Map<string, TreeNode>, traceId: string, parentSpanId: string): TreeNode {
  const key = traceId + parentSpanId
  let node = missing.get(key)
  if (!node) {
    node = { span: undefined, note: 'missing_parent', parentSpanId, isDuplicate: false, children: [] }
    missing.set(key, node)
  }
  return node
}

/** Marks what hangs below, and drops the child that leads back into what is marked already. */
function reach(from: TreeNode, reached: Set<TreeNode>): void {
  const open = [from]
  for (let node = open.pop(); node; node = open.pop()) {
    reached.add(node)
    node.children = node.children.filter((child) => !reached.has(child))
    open.push(...node.children)
  }
}

/** From a span that no root leads to, up its parents: that ends in a ring. */
function startOfRing(from: TreeNode, byId: ReadonlyMap<string, TreeNode>): TreeNode {
  const up = (node: TreeNode): TreeNode =>
    byId.get((node.span?.traceId ?? '') + (node.span?.parentSpanId ?? '')) ?? node
  const passed = new Set<TreeNode>()
  let inside = from
  for (; !passed.has(inside); inside = up(inside)) passed.add(inside)
  let start = inside
  for (let node = up(inside); node !== inside; node = up(node)) if (byStart(node, start) < 0) start = node
  return start
}

function byStart(a: TreeNode, b: TreeNode): number {
  const one = a.span ?? a.children[0]?.span
  const other = b.span ?? b.children[0]?.span
  if (!one || !other) return 0
  return one.startMs - other.startMs || (one.name < other.name ? -1 : one.name > other.name ? 1 : 0)
}
