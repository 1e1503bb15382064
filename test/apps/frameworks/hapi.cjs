void require('./hapi-app.cjs')(require('@hapi/hapi').server)
