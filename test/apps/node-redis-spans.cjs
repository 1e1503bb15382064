const http = require('node:http')
const { createClient } = require('redis')
const { nodeRedisWays, start } = require('./db-spans-app.cjs')

void start({ http, ...nodeRedisWays({ createClient, url: process.env.REDIS_URL }) })
