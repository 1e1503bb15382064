// An app with nothing to be told of: a server, a pool that is never asked, a probe.
const { registerProbe } = require('afterspan')
require('pg')
registerProbe({
  name: 'its-own',
  component: 'itself',
  criticality: 'optional',
  check: () => Promise.resolve({ status: 'pass' }),
})
registerProbe({
  name: 'its-worry',
  component: 'itself',
  criticality: 'optional',
  check: () => Promise.resolve({ status: 'warn', reason: 'little is left' }),
})
require('../express-app.cjs')(require('express'))
