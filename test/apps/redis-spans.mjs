import http from 'node:http'
import { Redis } from 'ioredis'
import { redisWays, start } from './db-spans-app.cjs'

void start({ http, ...redisWays({ Redis, port: Number(process.env.REDIS_PORT) }) })
