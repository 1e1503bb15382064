// Without a compiler for decorators: they are functions.
require('reflect-metadata')
const { safeHandler } = require('afterspan')
const { later, listening, reject, traceHere } = require('./here.cjs')

module.exports = async function start(
  { Body, Catch, Controller, Get, HttpCode, Module, Post, Query, UseFilters },
  { NestFactory },
) {
  class Root {
    echo(body) {
      return { got: body, trace: traceHere() }
    }
    throws() {
      throw new TypeError('no such thing')
    }
    async rejects() {
      await later(1)
      throw new TypeError('no such thing')
    }
    swallowed() {
      throw new TypeError('no such thing')
    }
  }
  Root.prototype.safe = safeHandler(reject)
  class Orders {
    async one(query) {
      await later(Number(query.ms ?? 0))
      return { trace: traceHere() }
    }
  }
  class Swallow {
    catch(error, host) {
      host.switchToHttp().getResponse().status(500).json({ hidden: true })
    }
  }
  Catch()(Swallow)
  method(Root, 'echo', Post('/echo'))
  method(Root, 'echo', HttpCode(200))
  Body()(Root.prototype, 'echo', 0)
  for (const name of ['throws', 'rejects', 'swallowed', 'safe']) method(Root, name, Get(`/${name}`))
  method(Root, 'swallowed', UseFilters(new Swallow()))
  method(Orders, 'one', Get(':id'))
  Query()(Orders.prototype, 'one', 0)
  Controller()(Root)
  Controller('api/:tenant/orders')(Orders)
  class App {}
  Module({ controllers: [Root, Orders] })(App)

  const app = await NestFactory.create(App, { logger: false })
  await app.listen(0, '127.0.0.1')
  listening(app.getHttpServer())
}

function method(owner, name, decorate) {
  decorate(owner.prototype, name, Object.getOwnPropertyDescriptor(owner.prototype, name))
}
