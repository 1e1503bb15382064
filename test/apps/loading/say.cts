const path: { sep: string } = require('node:path')
const said: string = `said ${path.sep}`
console.log(said)
