import http2 from 'node:http2'
import https from 'node:https'
import start from './http2-app.cjs'

start(http2, https)
