// Job.create and Job.createBulk lie under Queue.add and Queue.addBulk, after the app's own telemetry has put its context into the
// options. A flow makes its jobs itself.
import { withoutTracing, type TaskDraft, type TaskKit } from '@afterspan/core/internal'
import { createBag, isObject, taskOf, type Bag } from '../sending/bag.ts'
import { sendAll } from '../sending/send-all.ts'
import { answersInOrder } from '../redis-jobs/before.ts'
import { carrierOf, withCarrier } from './carrier.ts'
import { cancelGone } from './emptying.ts'
import { holderOf, replacedBy, type Holder } from './replacing.ts'
import type { SentJob, Vanishing } from '../redis-jobs/vanishing.ts'
import type { BullMQ, BulkJob, FlowNode, FlowProducer, Job, JobClass, JobOptions, JobTree, Queue } from './shapes.ts'

/** Each costs one read of Redis; not for more jobs of one call than this. */
const MOST_LOOKUPS = 100

export function patchCreate({ Job }: BullMQ, kit: TaskKit, vanishing: Vanishing): void {
  kit.wrap(
    Job,
    'create',
    (original) =>
      function (this: JobClass, ...args) {
        const [queue, name, data, opts] = args
        if (isRepeated(opts)) return original.apply(this, args)
        const bag = createBag()
        let isKnown = false
        const create = (): Promise<Job> => original.call(this, queue, name, data, withCarrier(opts, bag))
        const send = async (): Promise<Job> => {
          const before = Promise.all([replacedBy(Job, queue, opts), holderOf(queue, opts)])
          if (!answersInOrder(queue)) await before
          const job = await create()
          const [replaced, holder] = await before
          await cancelGone(kit, replaced, 'deduplicated')
          isKnown = await isDuplicate(Job, queue, { job, opts, bag, holder })
          return job
        }
        return kit.enqueue(draftOf(queue.name, name), bag, mayBeDuplicate(opts) ? send : create, (job) => {
          if (isKnown) return null
          vanishing.sent(queue, sentAs(job.id, bag, opts))
          return job.id
        })
      },
  )
  kit.wrap(
    Job,
    'createBulk',
    (original) =>
      function (this: JobClass, queue, jobs) {
        if (!Array.isArray(jobs) || jobs.length === 0) return original.call(this, queue, jobs)
        const create = (carrying: readonly BulkJob[]): Promise<readonly Job[]> => original.call(this, queue, carrying)
        return createAll({ Job, kit, vanishing }, queue, { jobs, create })
      },
  )
}

function createAll(
  { Job, kit, vanishing }: { readonly Job: JobClass; readonly kit: TaskKit; readonly vanishing: Vanishing },
  queue: Queue,
  bulk: { readonly jobs: readonly BulkJob[]; create(carrying: readonly BulkJob[]): Promise<readonly Job[]> },
): Promise<readonly Job[]> {
  const { jobs } = bulk
  const duplicates = new Set<number>()
  let carriers: readonly Bag[] = []
  const send = async (bags: readonly Bag[]): Promise<readonly Job[]> => {
    carriers = bags
    const deduplicated = jobs.filter(({ opts }) => opts?.deduplication ?? opts?.debounce).slice(0, MOST_LOOKUPS)
    const before = Promise.all(
      deduplicated.map(({ opts }) => Promise.all([replacedBy(Job, queue, opts), holderOf(queue, opts)])),
    )
    if (!answersInOrder(queue)) await before
    const created = await bulk.create(jobs.map((job, i) => withOpts(job, withCarrier(job.opts, bags[i]!))))
    const places = await before
    const holders = new Map(deduplicated.map((job, i) => [job, places[i]?.[1]]))
    const replaced = places.flatMap(([jobsOf]) => jobsOf)
    await cancelGone(kit, replaced, 'deduplicated')
    const doubtful = [...created.keys()].filter((i) => mayBeDuplicate(jobs[i]?.opts))
    const lookUp = async (i: number): Promise<void> => {
      const sent = { job: created[i]!, opts: jobs[i]?.opts, bag: bags[i]!, holder: holders.get(jobs[i]!) }
      if (await isDuplicate(Job, queue, sent)) duplicates.add(i)
    }
    await Promise.all(doubtful.slice(0, MOST_LOOKUPS).map(lookUp))
    return created
  }
  const drafts = jobs.map(({ name }) => draftOf(queue.name, name))
  return sendAll(kit, drafts, send, (created, i) => {
    if (duplicates.has(i)) return null
    vanishing.sent(queue, sentAs(created[i]?.id, carriers[i]!, jobs[i]?.opts))
    return created[i]?.id
  })
}

export function patchFlow({ FlowProducer: { prototype } }: BullMQ, kit: TaskKit, vanishing: Vanishing): void {
  kit.wrap(
    prototype,
    'add',
    (original) =>
      function (this: FlowProducer, flow, ...args) {
        if (!isTree(flow)) return original.call(this, flow, ...args)
        const send = ([tree]: readonly FlowNode[]): Promise<readonly JobTree[] | undefined> =>
          original.call(this, tree!, ...args).then((made) => made && [made])
        return addFlows({ kit, vanishing }, [flow], this.telemetry !== undefined, send).then((made) => made?.[0])
      },
  )
  kit.wrap(
    prototype,
    'addBulk',
    (original) =>
      function (this: FlowProducer, flows, ...args) {
        if (!Array.isArray(flows) || !flows.every(isTree)) return original.call(this, flows, ...args)
        const send = (trees: readonly FlowNode[]): Promise<readonly JobTree[] | undefined> =>
          original.call(this, trees, ...args)
        return addFlows({ kit, vanishing }, flows, this.telemetry !== undefined, send)
      },
  )
}

function isTree(node: unknown): node is FlowNode {
  if (!isObject(node) || typeof node['queueName'] !== 'string') return false
  const { children } = node
  return !children || (Array.isArray(children) && children.every(isTree))
}

/** Every node of every tree is a task. */
function addFlows(
  { kit, vanishing }: { readonly kit: TaskKit; readonly vanishing: Vanishing },
  flows: readonly FlowNode[],
  isPlaceTaken: boolean,
  add: (flows: readonly FlowNode[]) => Promise<readonly JobTree[] | undefined>,
): Promise<readonly JobTree[] | undefined> {
  const nodes = flows.flatMap(withDescendants)
  let sent: readonly Job[] | undefined
  let carriers: readonly Bag[] = []
  const send = (bags: readonly Bag[]): Promise<readonly JobTree[] | undefined> => {
    carriers = bags
    const bagOf = new Map(nodes.map((node, i) => [node, bags[i]!]))
    const carrying = (node: FlowNode): FlowNode => ({
      ...withOpts(node, withCarrier(node.opts, bagOf.get(node)!, isPlaceTaken)),
      ...(node.children ? { children: node.children.map(carrying) } : {}),
    })
    return add(flows.map(carrying))
  }
  const drafts = nodes.map(({ queueName, name }) => draftOf(queueName, name))
  return sendAll(kit, drafts, send, (made, i) => {
    // A producer that is closing makes nothing, and says nothing.
    if (!made) return null
    sent ??= made.flatMap(withDescendants).map(({ job }) => job)
    vanishing.sent(sent[i]?.queue, sentAs(sent[i]?.id, carriers[i]!, nodes[i]?.opts))
    return sent[i]?.id
  })
}

function withDescendants<T extends { readonly children?: readonly T[] }>(node: T): T[] {
  return [node, ...(node.children ?? []).flatMap((child) => withDescendants<T>(child))]
}

function withOpts<T extends { readonly opts?: JobOptions }>(job: T, opts: JobOptions | undefined): T {
  return opts === job.opts ? job : { ...job, opts }
}

/** Until 5 the next run of a repeatable job is made by Job.create too, in whatever context its worker is. */
function isRepeated(opts: JobOptions | undefined): boolean {
  return opts?.repeat !== undefined || opts?.repeatJobKey !== undefined
}

function mayBeDuplicate(opts: JobOptions | undefined): boolean {
  return Boolean(opts?.jobId || opts?.debounce || opts?.deduplication)
}

function sentAs(id: string | undefined, bag: Bag, opts: JobOptions | undefined): SentJob {
  return { id, taskId: taskOf(bag), isNumbered: !mayBeDuplicate(opts) }
}

interface Sent {
  readonly job: Job
  readonly opts: JobOptions | undefined
  readonly bag: Bag
  readonly holder: Holder | undefined
}

/** For a job that there is already BullMQ returns its id as if it were new; what is stored under it tells whose it is. */
async function isDuplicate(Job: JobClass, queue: Queue, { job: { id }, opts, bag, holder }: Sent): Promise<boolean> {
  const isCarried = withCarrier(opts, bag) !== opts
  if (!id || !isCarried || !mayBeDuplicate(opts)) return false
  // It is not dropped where it comes after the one that runs.
  if (opts?.deduplication?.keepLastIfActive && (!holder || (holder.isActive && holder.id === id))) return false
  try {
    const stored = await withoutTracing(() => Job.fromId(queue, id))
    return stored === undefined ? id === holder?.id : carrierOf(stored).get('traceparent') !== bag.get('traceparent')
  } catch {
    return false
  }
}

function draftOf(queue: string, name: string): TaskDraft {
  return { system: 'bullmq', destination: queue, name, isAwaited: true }
}
