const http = require('node:http')
const postgres = require('postgres')
const { start } = require('./db-spans-app.cjs')
const { postgresJsWays } = require('./postgres-js-spans-app.cjs')

void start({ http, ...postgresJsWays({ postgres, url: process.env.DATABASE_URL }) })
