// A script that asks for the receipt of a request of another process, and does nothing else.
const { AfterspanError, tasks } = require('afterspan')

tasks.receipt('0af7651916cd43dd8448eb211c80319c').then(
  ({ verdict }) => console.log(verdict),
  (error) => {
    console.log(`${error instanceof AfterspanError} ${error.code} ${new Error('of the app') instanceof AfterspanError}`)
  },
)
