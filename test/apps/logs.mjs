import bunyan from 'bunyan'
import { pino } from 'pino'
import * as winston from 'winston'
import start from './logs-app.cjs'

start({ pino, winston, bunyan })
