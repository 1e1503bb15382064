require('./hono-presets-app.cjs')(
  [require('hono/tiny').Hono, require('hono/quick').Hono],
  require('@hono/node-server').serve,
)
