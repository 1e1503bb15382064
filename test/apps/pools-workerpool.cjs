const { worker } = require('workerpool')
const { work } = require('./pools-app.cjs')

worker({ work })
