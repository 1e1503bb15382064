import http from 'node:http'
import { CronJob } from 'cron'
import { Cron } from 'croner'
import * as nodeCron from 'node-cron'
import nodeSchedule from 'node-schedule'
import start from './schedules-app.cjs'

start({ nodeCron, Cron, CronJob, nodeSchedule, http })
