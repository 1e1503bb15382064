// What is used of ioredis, as it is from 5.0 to 6.x.
export const SYSTEM = 'redis-streams'

export interface Command {
  readonly name: string
  readonly args: readonly unknown[]
  readonly promise: Promise<unknown>
  reject(error: unknown): void
  /** The reply as the app gets it. Inside of MULTI it is asked twice: of 'QUEUED', and of what EXEC brought. */
  transformReply(reply: unknown): unknown
}
/** Redis and Cluster: every command comes through here, and again when it is sent again. */
export interface Client {
  sendCommand(command: Command, stream?: unknown, node?: unknown): unknown
}
export interface Exports {
  readonly Redis?: { readonly prototype: Client }
  readonly default?: { readonly prototype: Client }
  readonly Cluster?: { readonly prototype: Client }
  readonly Command: new (name: string, args: readonly string[], options: { readonly replyEncoding: 'utf8' }) => Command
}
