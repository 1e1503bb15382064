// Blocks its main thread when asked, in JavaScript or in a synchronous call, and then leaves by process.exit(7).
const { execSync } = require('node:child_process')
const { writeSync } = require('node:fs')
const { createServer } = require('node:http')

function addUp(ms) {
  const until = Date.now() + ms
  let sum = 0
  while (Date.now() < until) sum = Math.sqrt(sum + 1)
  return sum
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://app')
  const ms = Number(url.searchParams.get('ms'))
  if (url.pathname === '/ok') return response.end('ok')
  writeSync(1, 'blocking\n')
  if (url.pathname === '/javascript') addUp(ms)
  else execSync(`sleep ${ms / 1000}`)
  if (url.searchParams.has('exit')) process.exit(7)
  response.end('done')
})
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
