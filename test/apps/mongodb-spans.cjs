const http = require('node:http')
const { MongoClient } = require('mongodb')
const { start } = require('./db-spans-app.cjs')
const { mongodbWays } = require('./mongodb-spans-app.cjs')

void start({ http, ...mongodbWays({ MongoClient, url: process.env.MONGODB_URL }) })
