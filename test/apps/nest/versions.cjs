const { createRequire } = require('node:module')
const { join } = require('node:path')

/** Packages of Nest by their names: the newest, or with NEST=10 the oldest that are followed. */
exports.nest = (...names) => {
  const load = process.env.NEST === '10' ? createRequire(join(__dirname, '../../nest10/package.json')) : require
  return Object.fromEntries(names.map((name) => [name.replace(/-\w+/, ''), load(`@nestjs/${name}`)]))
}
