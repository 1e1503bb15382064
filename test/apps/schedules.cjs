const nodeCron = require('node-cron')
const { Cron } = require('croner')
const { CronJob } = require('cron')
const nodeSchedule = require('node-schedule')
const http = require('node:http')

require('./schedules-app.cjs')({ nodeCron, Cron, CronJob, nodeSchedule, http })
