// The preload of core alone: tracing and metrics, without side thread and ledger. `node --require @afterspan/core/register app.js`.
import { join } from 'node:path'
import { mayPreload } from './preload-guard.ts'

if (mayPreload()) (require('./bundle/preload.js') as typeof import('./preload.ts')).preload(join(__dirname, 'bundle'))
