const start = require('./logs-app.cjs')

start({ pino: require('pino'), winston: require('winston'), bunyan: require('bunyan') })
