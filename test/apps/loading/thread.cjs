const { Worker } = require('node:worker_threads')
const { execFile } = require('node:child_process')

new Worker('', { eval: true }).on('exit', (code) => console.log(`thread ${code}`))
execFile(process.execPath, ['-v'], { timeout: 60_000 }).on('exit', (code) => console.log(`child ${code}`))
