const { createServer } = require('node:http')
const { openTask, runTask, track } = require('afterspan')
require('./tracking-app.cjs')({ createServer, openTask, runTask, track })
