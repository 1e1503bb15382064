// Handlers of Express that throw, and what the callback is told.
const express = require('express')
const { onReport, safeHandler } = require('afterspan')

onReport((incident) => console.log(`told ${JSON.stringify(incident)}`))
const orders = express.Router()
orders.get(
  '/:id/safe',
  safeHandler(async (_req, _res) => {
    throw new RangeError('token=abcdefgh is no order')
  }),
)
orders.get('/:id/crash', () => {
  setImmediate(() => {
    throw new RangeError('the process ends')
  })
})
const server = express()
  .use('/orders', orders)
  .listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
