const { ThreadWorker } = require('poolifier')
const { work } = require('./pools-app.cjs')

module.exports = new ThreadWorker(work)
