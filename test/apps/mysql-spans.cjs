const http = require('node:http')
const mysql = require('mysql2')
const promises = require('mysql2/promise')
const { start } = require('./db-spans-app.cjs')
const { mysqlWays } = require('./mysql-spans-app.cjs')

void start({ http, ...mysqlWays({ mysql, promises, url: process.env.DATABASE_URL }) })
