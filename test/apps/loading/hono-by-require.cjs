// A CommonJS program that requires an ES module; what is to be seen is imported by that one.
require('../frameworks/hono.mjs')
