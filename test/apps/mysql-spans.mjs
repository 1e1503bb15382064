import http from 'node:http'
import promises from 'mysql2/promise'
import mysql from 'mysql2'
import { start } from './db-spans-app.cjs'
import { mysqlWays } from './mysql-spans-app.cjs'

void start({ http, ...mysqlWays({ mysql, promises, url: process.env.DATABASE_URL }) })
