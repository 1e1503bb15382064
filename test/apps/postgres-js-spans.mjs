import http from 'node:http'
import postgres from 'postgres'
import { start } from './db-spans-app.cjs'
import { postgresJsWays } from './postgres-js-spans-app.cjs'

void start({ http, ...postgresJsWays({ postgres, url: process.env.DATABASE_URL }) })
