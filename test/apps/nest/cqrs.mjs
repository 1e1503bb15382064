import * as common from '@nestjs/common'
import * as core from '@nestjs/core'
import * as cqrs from '@nestjs/cqrs'
import * as rxjs from 'rxjs'
import start from './cqrs-app.cjs'

await start({ common, core, cqrs, rxjs })
