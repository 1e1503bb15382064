const { createServer } = require('node:http')
const { openTask, runTask, tasks, track } = require('afterspan')
require('./tracking-app.cjs')({ createServer, openTask, runTask, tasks, track })
