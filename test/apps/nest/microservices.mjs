import * as common from '@nestjs/common'
import * as core from '@nestjs/core'
import * as microservices from '@nestjs/microservices'
import * as rxjs from 'rxjs'
import start from './microservices-app.cjs'

await start({ common, core, microservices, rxjs })
