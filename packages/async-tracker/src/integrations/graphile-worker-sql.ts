// Jobs of Graphile Worker that the app adds by SQL, through its own client of pg: the way to have them in its own transaction.
import type { Integration } from '@afterspan/core/internal'
import { patchClient } from './graphile-worker/sql.ts'
import type { PgClient } from './graphile-worker/sql-client.ts'

/** What such a call gives back is known by its number alone: see docs/decisions/joined-by-id.md. */
export const graphileWorkerSql: Integration<{ readonly prototype?: PgClient }> = {
  name: 'graphile-worker-sql',
  module: 'pg',
  files: ['lib/client.js'],
  versions: '>=8.0.3 <9',
  patch({ prototype }, kit) {
    if (prototype) patchClient(prototype, kit)
  },
}
