const nodeCron = require('node-cron')
const { Cron } = require('croner')
const http = require('node:http')

require('./schedules-app.cjs')({ nodeCron, Cron, http })
