const { Readable } = require('node:stream')
const { listening } = require('./here.cjs')

const server = require('@hapi/hapi').server({ port: 0, host: '127.0.0.1', debug: false })
server.route({
  method: 'GET',
  path: '/breaks/{id}',
  handler() {
    const body = new Readable({ read() {} })
    body.push('the first half')
    setTimeout(() => body.destroy(new TypeError('no such thing')), 20)
    return body
  },
})
server.route({
  method: 'GET',
  path: '/is-circular/{id}',
  handler() {
    const body = {}
    body.body = body
    return body
  },
})
const onPreResponse = {
  method() {
    throw new TypeError('no such thing')
  },
}
server.route({ method: 'GET', path: '/is-extended/{id}', options: { ext: { onPreResponse } }, handler: () => 'user' })
void server.start().then(() => listening(server.listener))
