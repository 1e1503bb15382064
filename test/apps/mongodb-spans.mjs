import http from 'node:http'
import { MongoClient } from 'mongodb'
import { start } from './db-spans-app.cjs'
import { mongodbWays } from './mongodb-spans-app.cjs'

void start({ http, ...mongodbWays({ MongoClient, url: process.env.MONGODB_URL }) })
