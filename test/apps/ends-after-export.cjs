// A server that ends in the way that a path names, in the very turn in which it was asked to, and not before there is the file that it was
// started with: nothing is heard any more of what came by then.
const { existsSync } = require('node:fs')
const { createServer } = require('node:http')

const MOST_MS = 10_000
const ends = {
  '/exit': () => process.exit(3),
  '/crash': () => {
    throw new RangeError('asked to')
  },
}
const server = createServer((req, res) => {
  const end = ends[req.url]
  if (!end) return res.end()
  process.stdout.write('ending\n')
  const until = Date.now() + MOST_MS
  while (!existsSync(process.argv[2]) && Date.now() < until);
  end()
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
