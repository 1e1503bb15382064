// A CommonJS program whose first ES module is the one that is to be seen.
const start = require('../frameworks/hono-app.cjs')

void import('hono').then(async ({ Hono }) => {
  const { serve } = await import('@hono/node-server')
  start(Hono, serve)
})
