// Redis Streams through node-redis, whose parts are packages of their own: redis itself, and all that stands on it, sends by @redis/client.
import type { Integration } from '@afterspan/core/internal'
import { followNodeRedis } from './redis-streams/node-redis.ts'
import type { NodeExports } from './redis-streams/shapes.ts'

/** The integration of Redis Streams for node-redis: the same as for ioredis. */
export const nodeRedisStreams: Integration<NodeExports> = {
  name: 'node-redis-streams',
  module: '@redis/client',
  files: ['dist/lib/client/index.js', 'dist/lib/client/commands-queue.js'],
  versions: '>=5.0.0 <7',
  systems: ['redis-streams'],
  patch: followNodeRedis,
}
