// The preload of core alone: tracing and metrics, without side thread and ledger. `node --require @afterspan/core/register app.js`.
import { join } from 'node:path'
import { mayPreload, preloadFrom } from './preload-guard.ts'

if (mayPreload()) preloadFrom(join(__dirname, 'bundle'))
