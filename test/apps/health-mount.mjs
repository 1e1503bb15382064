import http from 'node:http'
import start from './health-mount-app.cjs'

start(http)
