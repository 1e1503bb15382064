import { createServer } from 'node:http'
import { openTask, runTask, track } from 'afterspan'
import start from './tracking-app.cjs'

start({ createServer, openTask, runTask, track })
