require('./logged-errors-app.cjs')({ pino: require('pino'), winston: require('winston'), bunyan: require('bunyan') })
