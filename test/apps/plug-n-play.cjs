// What the hook of Yarn's Plug'n'Play is to us: it tells that it is there, by `process.versions`, and by which name; without it a thread
// would find no file of ours. This one only notes in which threads it was loaded, and then preloads Afterspan.
const { appendFileSync } = require('node:fs')
const Module = require('node:module')
const { isMainThread, threadName } = require('node:worker_threads')

process.versions.pnp = '3'
const resolve = Module._resolveFilename
Module._resolveFilename = (name, ...rest) => (name === 'pnpapi' ? __filename : resolve(name, ...rest))
appendFileSync(process.env.LOADED_IN, isMainThread ? 'main\n' : `${threadName ?? 'thread'}\n`)
if (isMainThread) require(process.env.REGISTER)
