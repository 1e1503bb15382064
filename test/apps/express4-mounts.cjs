require('./express-mounts-app.cjs')(require('express4'))
