require('./http2-app.cjs')(require('node:http2'), require('node:https'))
