// What is used of a queue in Redis, BullMQ's from 5.0 on and Bull's from 4.0 on.

export interface RedisClient {
  readonly status?: string
  /** The app has asked it to end. */
  readonly manuallyClosing?: boolean
  get?: (key: string) => Promise<string | null | undefined>
  hget?: (key: string, field: string) => Promise<string | null | undefined>
  lrange?: (key: string, start: number, end: number) => Promise<readonly string[]>
  zrange?: (key: string, start: number, end: number) => Promise<readonly string[]>
  /** Of ioredis; the two behind it of what BullMQ has from 6 on before other clients. */
  eval?: (lua: string, numberOfKeys: number, ...keysAndArgs: string[]) => Promise<unknown>
  defineCommand?: (name: string, definition: { readonly numberOfKeys: number; readonly lua: string }) => void
  runCommand?: (name: string, keysAndArgs: readonly string[]) => Promise<unknown>
}
export interface RedisQueue {
  /** PostgreSQL has another. What a flow of BullMQ makes its jobs by has it one deeper from 6 on. */
  readonly client?: Promise<RedisClient> | RedisClient
  readonly backend?: { readonly queue?: Pick<RedisQueue, 'client'> }
  /** While it ends, and after. */
  readonly closing?: unknown
  toKey?(type: string): string
}
