import bunyan from 'bunyan'
import { pino } from 'pino'
import * as winston from 'winston'
import start from './logged-errors-app.cjs'

start({ pino, winston, bunyan })
