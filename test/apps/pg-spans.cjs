const http = require('node:http')
const pg = require('pg')
const { pgWays, start } = require('./db-spans-app.cjs')

void start({ http, ...pgWays({ pg, url: process.env.DATABASE_URL }) })
