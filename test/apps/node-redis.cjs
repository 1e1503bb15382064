const { createClient } = require('redis')

void require('./node-redis-app.cjs')({ createClient })
