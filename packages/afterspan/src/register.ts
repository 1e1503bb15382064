// The preload: `node --require afterspan/register app.js`, also by --import and NODE_OPTIONS.
// It decides whether to do anything at all before it loads anything; then one bundle.
import { join } from 'node:path'
import { mayPreload } from '@afterspan/core/preload-guard'

if (mayPreload()) (require('./bundle/preload.js') as typeof import('./preload.ts')).preload(join(__dirname, 'bundle'))
