// A service that speaks gRPC to another one, and serves gRPC itself.
const { createServer } = require('node:http')

const asIs = (bytes) => bytes
const unary = (path) => ({
  path,
  requestStream: false,
  responseStream: false,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
})

module.exports = function start(grpc, health) {
  const Stock = grpc.makeGenericClientConstructor({ Get: unary('/shop.Stock/Get') }, 'Stock')
  const stock = new Stock(process.env.GRPC_TARGET, grpc.credentials.createInsecure())
  const server = new grpc.Server()
  server.addService({ Get: unary('/shop.Orders/Get') }, { Get: (call, done) => done(null, call.request) })
  if (process.env.SERVES === 'by code') health.serveGrpc(server)
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error
    console.log(`grpc ${port}`)
    const web = createServer((request, response) => {
      if (request.url === '/shutdown') {
        server.tryShutdown(() => response.end('shut down'))
        stock.close()
        web.close()
      } else if (request.url === '/leave') {
        // The client stays: what is idle holds no process.
        server.forceShutdown()
        web.close()
        response.setHeader('connection', 'close').end('left')
      } else
        stock.Get(Buffer.from('a'), { deadline: Date.now() + 1000 }, (failed) => {
          response.end(failed ? `failed ${failed.code}` : 'done')
        })
    })
    web.listen(0, '127.0.0.1', () => console.log(`listening ${web.address().port}`))
  })
}
