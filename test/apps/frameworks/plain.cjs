require('./plain-app.cjs')(require('node:http'))
