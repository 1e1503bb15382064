import { createServer } from 'node:http'
import { openTask, runTask, tasks, track } from 'afterspan'
import start from './tracking-app.cjs'

start({ createServer, openTask, runTask, tasks, track })
