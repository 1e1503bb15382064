const nodeCron = require('node-cron')
const { Cron } = require('croner')
const { CronJob } = require('cron')
const http = require('node:http')

require('./schedules-app.cjs')({ nodeCron, Cron, CronJob, http })
