const { createServer } = require('node:http')
const { track } = require('afterspan')

require('./drain-app.cjs')({ createServer, track })
