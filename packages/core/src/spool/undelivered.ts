import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { requireKept } from '../code-cache.ts'
import type { Undelivered } from '../contracts/undelivered.ts'
import { once } from '../once.ts'
import type { createUndelivered, UndeliveredSettings } from './undelivered-files.ts'

/** The same, loaded by the first thing that is left behind or found: most processes never have either. */
export function lazyUndelivered(bundleDir: string, settings: UndeliveredSettings): Undelivered {
  const load = once(() => {
    const files = requireKept(join(bundleDir, 'undelivered.js')) as { createUndelivered: typeof createUndelivered }
    return files.createUndelivered(settings)
  })
  return {
    keep: (request, what) => load().keep(request, what),
    take: (mostBytes) =>
      existsSync(join(settings.dir, 'undelivered', settings.collector)) ? load().take(mostBytes) : [],
  }
}
