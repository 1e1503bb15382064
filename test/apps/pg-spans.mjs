import http from 'node:http'
import pg, { Client } from 'pg'
import { pgWays, start } from './db-spans-app.cjs'

if (Client !== pg.Client) throw new Error('two clients')
void start({ http, ...pgWays({ pg, url: process.env.DATABASE_URL }) })
