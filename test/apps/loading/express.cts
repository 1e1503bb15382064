const start: (express: unknown) => unknown = require('../express-app.cjs')
start(require('express'))
