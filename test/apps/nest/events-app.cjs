// Listeners by @OnEvent(), of which Nest catches and logs what they throw.
const { once } = require('node:events')
const { setImmediate: turn } = require('node:timers/promises')
const { injected, method, parameter } = require('./decorate.cjs')

module.exports = async function start({ common, core, event }) {
  const { Controller, Get, Injectable, Module, Param, Res } = common
  const { EventEmitterModule, OnEvent } = event
  class Mailer {
    throws() {
      throw new TypeError('no address')
    }
    async rejects({ order }) {
      await turn()
      throw new TypeError(`no mail for ${order}`)
    }
    done() {
      return 1
    }
    async later() {
      await turn()
    }
    // What it does on its own account, and gets over, breaks no promise.
    async getsOver() {
      await fetch('http://127.0.0.1:9/').catch(() => {})
    }
    async loud() {
      await turn()
      throw new TypeError('no mail, said aloud')
    }
    async hangs() {
      console.log('hanging')
      await new Promise(() => setInterval(() => {}, 1000))
    }
  }
  for (const name of Object.getOwnPropertyNames(Mailer.prototype).slice(1))
    method(Mailer, name, OnEvent(`order.${name}`, name === 'loud' ? { suppressErrors: false } : {}))
  Injectable()(Mailer)

  class Orders {
    constructor(emitter) {
      this.emitter = emitter
    }
    emit(name) {
      return { heard: this.emitter.emit(`order.${name}`, { order: 7 }) }
    }
    async emitAsync(name) {
      const got = await this.emitter.emitAsync(`order.${name}`, { order: 7 }).catch(({ message }) => message)
      return { got }
    }
    async emitLate(name, response) {
      response.json({ heard: 'later' })
      await once(response, 'close')
      this.emitter.emit(`order.${name}`, { order: 7 })
    }
  }
  method(Orders, 'emit', Get('/emit/:name'))
  method(Orders, 'emitAsync', Get('/async/:name'))
  method(Orders, 'emitLate', Get('/late/:name'))
  for (const name of ['emit', 'emitAsync', 'emitLate']) parameter(Orders, name, 0, Param('name'))
  parameter(Orders, 'emitLate', 1, Res())
  Controller()(Orders)
  const emitterModule = EventEmitterModule.forRoot()
  injected(Orders, emitterModule.exports[0])
  class App {}
  Module({ imports: [emitterModule], controllers: [Orders], providers: [Mailer] })(App)

  const app = await core.NestFactory.create(App, { logger: ['error'] })
  await app.listen(0, '127.0.0.1')
  console.log(`listening ${app.getHttpServer().address().port}`)
}
