// Answers, and then calls somebody who does not: how the call ends is up to the app.
const { createServer, get } = require('node:http')

const url = process.env.SLOW_URL
const ignore = () => {}
const soon = (act) => setTimeout(() => act(), 50)
const acts = {
  'fetch-abort': () => {
    const controller = new AbortController()
    fetch(url, { signal: controller.signal }).catch(ignore)
    soon(() => controller.abort())
  },
  'fetch-timeout': () => void fetch(url, { signal: AbortSignal.timeout(50) }).catch(ignore),
  'get-abort': () => {
    const controller = new AbortController()
    get(url, { signal: controller.signal }).on('error', ignore)
    soon(() => controller.abort())
  },
}
const server = createServer((req, res) => {
  res.end('ok')
  res.on('close', () => acts[req.url.slice(1)]())
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
