// What there was right before a command of the app's. Nobody may await that command, and what the app sends next comes behind it, so it is
// never held back until we know: one script reads what we need, and goes to Redis, which answers in order, right before it does.
import { isThenable, withoutTracing } from '@afterspan/core/internal'
import type { RedisClient, RedisQueue } from './shapes.ts'

/** What is read for one call. */
export const MOST_JOBS = 1_000

export interface Script {
  readonly name: string
  /** KEYS are its keys, ARGV what else it is given. It writes nothing. */
  readonly lua: string
}
export type ScriptedQueue = Pick<RedisQueue, 'backend' | 'client'>

export function clientOf(queue: ScriptedQueue | undefined): RedisQueue['client'] {
  return queue?.client ?? queue?.backend?.queue?.client
}

/** Several connections of PostgreSQL answer in any order: there our questions have to be answered first. */
export function answersInOrder(queue: ScriptedQueue | undefined): boolean {
  return clientOf(queue) !== undefined
}

/** Goes off within this call, or right after. Never rejects: what could not be asked is not told. */
export async function readBefore(
  queue: ScriptedQueue | undefined,
  script: Script,
  keys: readonly string[],
  args: readonly string[] = [],
): Promise<readonly string[]> {
  try {
    const client = clientOf(queue)
    const ask = (it: RedisClient): Promise<unknown> => run(it, script, keys, args)
    // Of a client that is there only later: before whoever waits for it next.
    const answer = await withoutTracing(() => (isThenable(client) ? client.then(ask) : client && ask(client)))
    return Array.isArray(answer) ? answer.map(String) : []
  } catch {
    return []
  }
}

/** Other clients than ioredis are behind a face of BullMQ's. */
async function run(
  client: RedisClient,
  { name, lua }: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  if (typeof client.eval === 'function') return client.eval(lua, keys.length, ...keys, ...args)
  const command = `afterspan:${name}:${keys.length}`
  client.defineCommand?.(command, { numberOfKeys: keys.length, lua })
  return client.runCommand?.(command, [...keys, ...args])
}

/** What a script gives as one list: a name, what belongs to it, the next name. */
export function pairsOf(list: readonly string[]): readonly (readonly [string, string])[] {
  return list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1] ?? ''] as const] : []))
}

/** Of each key the jobs in it: their ids, each with its options. ARGV: what the keys of jobs begin with, and how many at most. */
export const WAITING: Script = {
  name: 'waiting',
  lua: `
local found = {}
local left = tonumber(ARGV[2])
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local ids = {}
  if left > 0 and kind == 'list' then ids = redis.call('LRANGE', key, 0, left - 1) end
  if left > 0 and kind == 'zset' then ids = redis.call('ZRANGE', key, 0, left - 1) end
  left = left - #ids
  for _, id in ipairs(ids) do
    local opts = redis.call('HGET', ARGV[1] .. id, 'opts')
    if opts then
      table.insert(found, id)
      table.insert(found, opts)
    end
  end
end
return found`,
}

/**
 * Of a job that nobody has begun, or that is to be tried again, its options, else nothing; then the keys of the children that it still
 * waits for, and of theirs, each with its options. KEYS: its own, and what runs; ARGV: its id, and how many children at most.
 */
export const UNFINISHED: Script = {
  name: 'unfinished',
  lua: `
local function optsOf(key)
  local job = redis.call('HMGET', key, 'opts', 'finishedOn')
  return job[1] and not job[2] and job[1]
end
local own = optsOf(KEYS[1]) or ''
for _, id in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  if id == ARGV[1] then own = '' end
end
local found = { own }
local parents = { KEYS[1] }
local left = tonumber(ARGV[2])
while #parents > 0 and left > 0 do
  local dependencies = table.remove(parents) .. ':dependencies'
  for _, key in ipairs(redis.call('SMEMBERS', dependencies)) do
    left = left - 1
    if left < 0 then break end
    local opts = optsOf(key)
    if opts then
      table.insert(found, key)
      table.insert(found, opts)
      table.insert(parents, key)
    end
  end
end
return found`,
}
