import http from 'node:http'
import start from './plain-app.cjs'

start(http)
