void require('./pg-client-app.cjs')(require('pg'))
