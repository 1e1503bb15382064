import { createServer } from 'node:http'
import { track } from 'afterspan'
import start from './drain-app.cjs'

start({ createServer, track })
