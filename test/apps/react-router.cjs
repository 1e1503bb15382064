require('./react-router-app.cjs')(require('react-router'))
