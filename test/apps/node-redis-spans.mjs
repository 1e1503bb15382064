import http from 'node:http'
import { createClient } from 'redis'
import { nodeRedisWays, start } from './db-spans-app.cjs'

void start({ http, ...nodeRedisWays({ createClient, url: process.env.REDIS_URL }) })
