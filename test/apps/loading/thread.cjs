const { Worker } = require('node:worker_threads')
const { execFile } = require('node:child_process')

// One after the other: which of two ends first is nobody's to say.
new Worker('', { eval: true }).on('exit', (code) => {
  console.log(`thread ${code}`)
  execFile(process.execPath, ['-v'], { timeout: 60_000 }).on('exit', (childCode) => console.log(`child ${childCode}`))
})
