// The preload: `node --require afterspan/register app.js`, also by --import and NODE_OPTIONS.
// It decides whether to do anything at all before it loads anything; then one bundle.
import { join } from 'node:path'
import { mayPreload, preloadFrom } from '@afterspan/core/preload-guard'

if (mayPreload()) preloadFrom(join(__dirname, 'bundle'))
