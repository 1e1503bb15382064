require('./express-app.cjs')(require('express'))
