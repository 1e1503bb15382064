require('./hono-app.cjs')(require('hono').Hono, require('@hono/node-server').serve)
