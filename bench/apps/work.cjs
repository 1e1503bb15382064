// What a job does: nothing, or about half a millisecond of work.
const { createHash } = require('node:crypto')
const bytes = Buffer.alloc(768 * 1024, 'a')
exports.work = process.env.BENCH_WORK ? () => createHash('sha256').update(bytes).digest('hex') : () => {}
