// A service that says on each answer that it was the one who gave it.
const http = require('node:http')

require('./health-mount-app.cjs')(http)
