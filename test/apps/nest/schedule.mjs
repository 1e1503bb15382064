import * as common from '@nestjs/common'
import * as core from '@nestjs/core'
import * as schedule from '@nestjs/schedule'
import start from './schedule-app.cjs'

if (process.env.ROLE === 'watch') setInterval(() => {}, 1000)
else await start({ common, core, schedule })
