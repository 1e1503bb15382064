// A service that calls itself over gRPC in each of the four ways, for each HTTP request. What the server got is the answer.
const http = require('node:http')

const asIs = (bytes) => bytes
const method = (path, requestStream, responseStream) => ({
  path,
  requestStream,
  responseStream,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
})
const METHODS = {
  unary: method('/shop.Stock/Unary', false, false),
  fails: method('/shop.Stock/Fails', false, false),
  sends: method('/shop.Stock/Sends', true, false),
  gets: method('/shop.Stock/Gets', false, true),
  talks: method('/shop.Stock/Talks', true, true),
}

module.exports = function start(grpc) {
  const told = (call) => Buffer.from(JSON.stringify(call.metadata.getMap()))
  const server = new grpc.Server()
  server.addService(METHODS, {
    unary: (call, done) => done(null, told(call)),
    fails: (call, done) => done({ code: grpc.status.INTERNAL, details: 'no such thing' }),
    sends: (call, done) => call.resume().on('end', () => done(null, told(call))),
    gets: (call) => call.write(told(call), () => call.end()),
    talks: (call) => call.resume().on('end', () => call.write(told(call), () => call.end())),
  })
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error
    const Stock = grpc.makeGenericClientConstructor(METHODS, 'Stock')
    const stock = new Stock(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
    const own = new grpc.Metadata()
    own.set('x-own', 'kept')
    const read = (call, done) => {
      let text = ''
      call.on('data', (chunk) => (text += chunk)).on('error', () => {})
      call.on('end', () => done(null, text))
      return call
    }
    const ways = {
      '/unary': (done) => stock.unary(Buffer.from('a'), done),
      '/unary-own': (done) => stock.unary(Buffer.from('a'), own, { deadline: Date.now() + 60_000 }, done),
      '/unary-options': (done) => stock.unary(Buffer.from('a'), { deadline: Date.now() + 60_000 }, done),
      '/fails': (done) => stock.fails(Buffer.from('a'), done),
      '/sends': (done) => stock.sends(done).end(Buffer.from('a')),
      '/gets': (done) => read(stock.gets(Buffer.from('a'), own), done),
      '/talks': (done) => read(stock.talks(), done).end(Buffer.from('a')),
    }
    const web = http.createServer((req, res) =>
      ways[req.url]((failed, answer) => res.end(failed ? JSON.stringify({ failed: failed.code }) : String(answer))),
    )
    web.listen(0, '127.0.0.1', () => console.log(`listening ${web.address().port}`))
  })
}
