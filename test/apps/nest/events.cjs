// NEST=10: the oldest version that is followed.
const { createRequire } = require('node:module')
const { join } = require('node:path')

const nest = process.env.NEST === '10' ? createRequire(join(__dirname, '../../nest10/package.json')) : require
const [common, core, events] = ['common', 'core', 'event-emitter'].map((name) => nest(`@nestjs/${name}`))
void require('./events-app.cjs')({ common, core, events })
