const postgres = require('postgres')

require('./postgres-js-app.cjs')({ postgres })
