// What is used of ioredis, as it is from 5.0 to 6.x, and of node-redis from 5.0 on.
export const SYSTEM = 'redis-streams'

/** ioredis makes such an object of each command; of node-redis we do. */
export interface Command {
  readonly name: string
  readonly args: readonly unknown[]
  reject(error: unknown): void
  /** The reply as the app gets it. Inside of MULTI it is asked twice: of 'QUEUED', and of what EXEC brought. */
  transformReply(reply: unknown): unknown
}
/** By which Redis can be asked something else. */
export type Client = object
/** Redis and Cluster: every command comes through here, and again when it is sent again. */
export interface IoClient extends Client {
  sendCommand(command: Command, stream?: unknown, node?: unknown): unknown
}
interface OwnCommand extends Command {
  readonly promise: Promise<unknown>
}
export interface Exports {
  readonly Redis?: { readonly prototype: IoClient }
  readonly default?: { readonly prototype: IoClient }
  readonly Cluster?: { readonly prototype: IoClient }
  readonly Command: new (
    name: string,
    args: readonly string[],
    options: { readonly replyEncoding: 'utf8' },
  ) => OwnCommand
}

type Words = readonly (string | Buffer)[]
interface QueueOptions {
  /** What is written together, as a pipeline or in MULTI. */
  readonly chainId?: symbol
}
/** All commands of a client of node-redis are put into such a queue; none comes through it again but by MOVED and alike. */
export interface CommandsQueue {
  addCommand(args: Words, options?: QueueOptions): Promise<unknown>
}
export interface NodeClient extends Client {
  /** The client itself, where this is a view of it with other options. */
  readonly _self?: NodeClient
  sendCommand(args: Words, options?: object): Promise<unknown>
  _executeMulti?(...args: unknown[]): Promise<unknown>
  _executePipeline?(...args: unknown[]): Promise<unknown>
}
/** Of one of its two files. */
export interface NodeExports {
  readonly default: { readonly prototype: Partial<CommandsQueue & NodeClient> }
}
