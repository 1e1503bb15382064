void require('./fastify-app.cjs')(require('fastify'))
