// Asks for a receipt where nobody patrols.
const { AfterspanError, tasks } = require('afterspan')

tasks.receipt('0af7651916cd43dd8448eb211c80319c').catch((error) => {
  console.log(`${error instanceof AfterspanError} ${error.code} ${new Error('of the app') instanceof AfterspanError}`)
})
