require('./hono-stream-app.cjs')({
  ...require('@hono/node-server'),
  ...require('hono'),
  ...require('hono/streaming'),
})
