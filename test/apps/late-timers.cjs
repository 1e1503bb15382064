const { setTimeout: sleep } = require('timers/promises')
const { setTimeout: moduleTimeout } = require('node:timers')
require('./late-timers-app.cjs')({ sleep, moduleTimeout })
