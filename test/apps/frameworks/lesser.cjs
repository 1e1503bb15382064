const graphql = require('graphql')
const trpc = { ...require('@trpc/server'), ...require('@trpc/server/adapters/standalone') }

require('./lesser-app.cjs')({
  connect: require('connect'),
  polka: require('polka'),
  restify: require('restify'),
  trpc,
  graphql,
  apollo: { ...require('@apollo/server'), ...require('@apollo/server/standalone') },
})
