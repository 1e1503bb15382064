// node-redis: every command is put into its client's queue, by itself, in a pipeline or between MULTI and EXEC, and its raw reply comes
// back from there. What the queue belongs to is seen by who is at work when it is filled.
import { withoutTracing, type TaskKit } from '@afterspan/core/internal'
import { createSteps, mayBe } from './following.ts'
import type { Client, Command, CommandsQueue, NodeClient, NodeExports } from './shapes.ts'
import { isRedirect, textOf } from './words.ts'

type Args = Parameters<CommandsQueue['addCommand']>[0]

const ours = new WeakSet<object>()
const clients = new WeakMap<CommandsQueue, NodeClient>()
let active: NodeClient | undefined

/** Its client, or its queue: each is a file of its own. */
export function followNodeRedis({ default: { prototype } }: NodeExports, kit: TaskKit): void {
  if (typeof prototype.addCommand === 'function') followQueue(prototype as CommandsQueue, kit)
  else followClient(prototype as NodeClient, kit)
}

function followClient(prototype: NodeClient, kit: TaskKit): void {
  for (const method of ['sendCommand', '_executeMulti', '_executePipeline'] as const) {
    const known = prototype[method]
    if (!known || ours.has(known)) continue
    kit.wrap(prototype, method, (original) => {
      const replacement = function (this: NodeClient, ...args: never[]) {
        const before = active
        active = this._self ?? this
        try {
          return (original as (...args: never[]) => Promise<unknown>).apply(this, args)
        } finally {
          active = before
        }
      }
      return replacement as never
    })
    ours.add(prototype[method]!)
  }
}

function followQueue(prototype: CommandsQueue, kit: TaskKit): void {
  // import and require may both bring it: there is one class.
  if (ours.has(prototype.addCommand)) return
  const steps = createSteps(kit, (client, ...words) =>
    withoutTracing(() => (client as NodeClient).sendCommand(['XINFO', ...words])),
  )
  kit.wrap(
    prototype,
    'addCommand',
    (original) =>
      function (this: CommandsQueue, args, options) {
        const name = textOf(args[0])
        const add = (): Promise<unknown> => original.call(this, args, options)
        const chain = chainOf(name, options?.chainId)
        const step = mayBe(name) ? steps.get(name.toLowerCase()) : undefined
        if (!step) {
          chain?.push(undefined)
          return add()
        }
        const again = redirected.get(args)
        const command = again ?? createCommand(name, args)
        const isExec = name === 'EXEC'
        const send = (): Promise<unknown> => followed(command, args, add(), isExec ? chain : undefined)
        if (!isExec) chain?.push(command)
        if (again) {
          redirected.delete(args)
          return send()
        }
        const client = clientOf(this)
        return step(client, command, send, (options?.chainId ?? client) as object) as Promise<unknown>
      },
  )
  ours.add(prototype.addCommand)
}

/** What EXEC will tell of, in its order. */
type Chain = (Command | undefined)[]
const chains = new WeakMap<symbol, Chain>()

/** Of a transaction; a pipeline is none. */
function chainOf(name: string, chainId: symbol | undefined): Chain | undefined {
  if (!chainId) return undefined
  if (name !== 'MULTI') return chains.get(chainId)
  chains.set(chainId, [])
  return undefined
}

function clientOf(queue: CommandsQueue): Client {
  if (active) clients.set(queue, active)
  return clients.get(queue) ?? queue
}

/** A cluster sends the same words again elsewhere: that is no new command. */
const redirected = new WeakMap<Args, Command>()

function createCommand(name: string, args: Args): Command {
  return { name, args: args.slice(1), transformReply: (reply) => reply, reject: () => {} }
}

/** The command hears of its reply before the app does; in a transaction from EXEC. */
function followed(command: Command, args: Args, sent: Promise<unknown>, chain: Chain | undefined): Promise<unknown> {
  return sent.then(
    (reply) => {
      if (chain && Array.isArray(reply))
        for (const [i, own] of chain.entries()) {
          if (own) tell(own, reply[i])
        }
      tell(command, reply)
      return reply
    },
    (error: unknown) => {
      if (error instanceof Error && isRedirect(error.message)) redirected.set(args, command)
      tell(command, error instanceof Error ? error : new Error(String(error)))
      throw error
    },
  )
}

/** Errors in the reply of a transaction are values. Nothing of ours may stand in the way of the app's reply. */
function tell(command: Command, reply: unknown): void {
  try {
    if (reply instanceof Error) command.reject(reply)
    else command.transformReply(reply)
  } catch {
    // the task stays what it is taken for
  }
}
