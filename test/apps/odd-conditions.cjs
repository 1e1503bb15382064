// A hook of the app's own that hands on conditions which are no list: prints what Node says of it.
const { registerHooks } = require('node:module')
registerHooks({ resolve: (specifier, context, next) => next(specifier, { ...context, conditions: 5 }) })
try {
  require('./usage.cjs')
} catch (error) {
  console.log(error.code)
}
