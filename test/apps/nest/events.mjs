import * as common from '@nestjs/common'
import * as core from '@nestjs/core'
import * as event from '@nestjs/event-emitter'
import start from './events-app.cjs'

await start({ common, core, event })
