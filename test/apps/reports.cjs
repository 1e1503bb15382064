require('./reports-app.cjs')(require('afterspan'))
