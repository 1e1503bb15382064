// Redis Streams through ioredis. An entry's fields are the app's: nothing is added to them, and a run finds its task by the entry's id.
import type { Integration } from '@afterspan/core/internal'
import { follow } from './redis-streams/following.ts'
import type { Exports } from './redis-streams/shapes.ts'

/** The integration of Redis Streams: an entry that is added is a task, and its delivery to a consumer of a group an attempt. */
export const redisStreams: Integration<Exports> = {
  name: 'redis-streams',
  module: 'ioredis',
  versions: '>=5.0.0 <7',
  systems: ['redis-streams'],
  patch: follow,
}
