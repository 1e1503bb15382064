require('./silent-app.cjs')({
  findMyWay: require('find-my-way'),
  zero: require('0http'),
  restana: require('restana'),
  itty: require('itty-router'),
  whatwg: require('@whatwg-node/server'),
  elysia: require('elysia'),
  elysiaNode: require('@elysiajs/node'),
  moleculer: require('moleculer'),
  moleculerWeb: require('moleculer-web'),
  orpc: { ...require('@orpc/server'), ...require('@orpc/server/node') },
  h3: require('h3'),
})
