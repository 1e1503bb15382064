// Answers, and then calls somebody who does not: how the call ends is up to the app.
const { createServer, get } = require('node:http')
const { setFlagsFromString } = require('node:v8')
const { runInNewContext } = require('node:vm')
const http2 = require('node:http2')
const axios = require('axios')

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc')

const url = process.env.SLOW_URL
const ignore = () => {}
process.on('unhandledRejection', ignore)
const soon = (act) => setTimeout(() => act(), 50)
const axiosAbort = (adapter) => {
  const controller = new AbortController()
  axios.get(url, { adapter, signal: controller.signal }).catch(ignore)
  soon(() => controller.abort())
}
const axiosTimeout = (adapter) => void axios.get(url, { adapter, signal: AbortSignal.timeout(50) }).catch(ignore)
const CANCEL = http2.constants.NGHTTP2_CANCEL
const silent = http2.createServer().listen(0, '127.0.0.1')
silent.on('stream', (stream, { ':path': path }) => (path === '/cancel' ? stream.close(CANCEL) : undefined))
const http2Call = (path, act) => {
  const session = http2.connect(`http://127.0.0.1:${silent.address().port}`)
  const call = session.request({ ':path': path })
  call.on('error', ignore).on('close', () => session.close())
  session.on('connect', () => setImmediate(() => act(call)))
}
const acts = {
  'fetch-abort': () => {
    const controller = new AbortController()
    fetch(url, { signal: controller.signal }).catch(ignore)
    soon(() => controller.abort())
  },
  'fetch-abort-unheard': () => {
    const controller = new AbortController()
    void fetch(url, { signal: controller.signal })
    soon(() => controller.abort())
  },
  'fetch-timeout': () => void fetch(url, { signal: AbortSignal.timeout(50) }).catch(ignore),
  'fetch-abort-reason': () => {
    const controller = new AbortController()
    fetch(url, { signal: controller.signal }).catch(ignore)
    soon(() => controller.abort('nobody waits for it'))
  },
  'fetch-cancel': async () => (await fetch(process.env.LONG_URL)).body.cancel('the head is enough'),
  'fetch-unread': async () => {
    await fetch(process.env.LONG_URL)
    soon(() => setInterval(() => collectGarbage(), 50).unref())
  },
  'get-abort': () => {
    const controller = new AbortController()
    get(url, { signal: controller.signal }).on('error', ignore)
    soon(() => controller.abort())
  },
  'get-timeout': () => void get(url, { signal: AbortSignal.timeout(50) }).on('error', ignore),
  'get-destroy': () => {
    const call = get(url).on('error', ignore)
    call.on('socket', (socket) => socket.on('connect', () => call.destroy()))
  },
  'get-idle': () => {
    const call = get(url).on('error', ignore)
    call.setTimeout(50, () => call.destroy())
  },
  'http2-close': () => http2Call('/', (call) => call.close(CANCEL)),
  'http2-cancelled': () => http2Call('/cancel', ignore),
  'http2-idle': () => http2Call('/', (call) => call.setTimeout(50, () => call.close(CANCEL))),
  'axios-abort': () => axiosAbort('http'),
  'axios-fetch-abort': () => axiosAbort('fetch'),
  'axios-timeout': () => axiosTimeout('http'),
  'axios-fetch-timeout': () => axiosTimeout('fetch'),
}
acts.cut = acts['fetch-abort']
const server = createServer((req, res) => {
  if (req.url === '/cut') {
    res.write('the first half')
    setImmediate(() => res.destroy(new TypeError('no such thing')))
  } else res.end('ok')
  res.on('close', () => acts[req.url.slice(1)]())
}).listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
