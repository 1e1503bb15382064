const http = require('node:http')
const Redis = require('ioredis')
const { redisWays, start } = require('./db-spans-app.cjs')

void start({ http, ...redisWays({ Redis, port: Number(process.env.REDIS_PORT) }) })
