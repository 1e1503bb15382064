// Calls a server that answers with the headers it got, in the ways in which Node and undici take headers.
const { baggageEntryMetadataFromString, context, propagation } = require('@opentelemetry/api')
const http = require('node:http')

const FOREIGN = '00-11111111111111111111111111111111-2222222222222222-01'
const target = http.createServer((req, res) => req.resume().on('end', () => res.end(JSON.stringify(req.rawHeaders))))

const send = (options, body) =>
  new Promise((resolve, reject) => {
    const request = http.request({ port: target.address().port, ...options }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk))
      response.on('end', () => resolve(text))
    })
    request.on('error', reject).end(body)
  })
const pull = async (headers, path = '/') =>
  (await fetch(`http://127.0.0.1:${target.address().port}${path}`, { headers })).text()

/** The metadata of an entry goes into the header as it is. */
const withBadBaggage = (run) => {
  const metadata = baggageEntryMetadataFromString('a\r\nX-Evil: 1')
  const baggage = propagation.createBaggage({ tenant: { value: 'acme', metadata } })
  return context.with(propagation.setBaggage(context.active(), baggage), run)
}

const ways = {
  object: () => send({ headers: { 'x-a': '1' } }),
  'own-object': () => send({ headers: { traceparent: FOREIGN } }),
  flat: () => send({ headers: ['Host', `shop.example:${target.address().port}`, 'X-A', '1'] }),
  'own-flat': () => send({ headers: ['Host', 'shop.example', 'TraceParent', FOREIGN] }),
  expects: () => send({ method: 'POST', headers: { expect: '100-continue' } }, 'body'),
  'fetch-secret': () => pull({}, '/?api_key=hidden&page=2'),
  fetch: () => pull({ 'x-a': '1' }),
  'own-fetch': () => pull({ TraceParent: FOREIGN, tracestate: 'a=b', baggage: 'c=d', 'x-a': '1' }),
  'foreign-host': () => send({ path: '/a?token=hidden', headers: { host: 'shop.example:81' } }),
  'foreign-refused': () => send({ host: '127.0.0.1', port: 9, headers: { host: 'shop.example' } }).catch(() => '[]'),
  proxied: () =>
    send({ path: 'http://user:hidden@shop.example:81/a?token=hidden&page=2', headers: { host: 'shop.example' } }),
  'bad-baggage': () => withBadBaggage(() => send({ headers: { 'x-a': '1' } })),
  'bad-baggage-flat': () => withBadBaggage(() => send({ headers: ['Host', 'shop.example', 'X-A', '1'] })),
  'bad-baggage-fetch': () => withBadBaggage(() => pull({ 'x-a': '1' })),
  'own-headers': () => pull(new Headers([['traceparent', FOREIGN], ['x-a', '1']])), // prettier-ignore
}
const server = http.createServer((req, res) => {
  ways[req.url.slice(1)]().then(
    (text) => res.end(text),
    (error) => res.end(error.message),
  )
})
target.listen(0, '127.0.0.1', () =>
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`)),
)
