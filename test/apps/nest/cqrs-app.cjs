// Handlers of events, and sagas: Nest catches and logs what they throw. It calls a handler's class by its constructor's name.
const { setImmediate: turn } = require('node:timers/promises')
const { injected, method, parameter } = require('./decorate.cjs')

module.exports = async function start({ common, core, cqrs, rxjs }) {
  const { Controller, Get, Injectable, Module, Param, Scope } = common
  const { CommandBus, CommandHandler, CqrsModule, EventBus, EventsHandler, Saga } = cqrs
  const events = {}
  const providers = []
  const on = (name, handle, options) => {
    const event = (events[name] = { [name]: class {} }[name])
    const handler = { [`${name}Handler`]: class {} }[`${name}Handler`]
    handler.prototype.handle = handle
    EventsHandler(event)(handler)
    if (options) Injectable(options)(handler)
    providers.push(handler)
  }
  const fail = async () => {
    await turn()
    throw new TypeError('no mail')
  }
  on('Throws', () => {
    throw new RangeError('no address')
  })
  on('Rejects', fail)
  on('Done', async () => {})
  on('Scoped', fail, process.env.NEST === '10' ? undefined : { scope: Scope.REQUEST })
  on('Hangs', () => {
    console.log('hanging')
    return new Promise(() => setInterval(() => {}, 1000))
  })
  // A saga turns the one event into the other command.
  events.Asks = class Asks {}
  events.Breaks = class Breaks {}
  class Ship {}
  class ShipHandler {
    async execute() {
      await fail()
    }
  }
  CommandHandler(Ship)(ShipHandler)
  class Sagas {
    constructor() {
      this.ships = (bus$) =>
        bus$.pipe(
          cqrs.ofType(events.Asks),
          rxjs.map(() => new Ship()),
        )
      // Older versions do not catch this one.
      this.breaks = (bus$) =>
        bus$.pipe(
          cqrs.ofType(events.Breaks),
          rxjs.map(() => {
            throw new TypeError('no saga')
          }),
        )
    }
  }
  Saga()(Sagas.prototype, 'ships')
  Saga()(Sagas.prototype, 'breaks')
  Injectable()(Sagas)
  providers.push(ShipHandler, Sagas)

  class Orders {
    constructor(eventBus, commandBus) {
      this.eventBus = eventBus
      this.commandBus = commandBus
    }
    publish(name) {
      this.eventBus.publish(new events[name]())
      return 'published'
    }
    async execute() {
      return await this.commandBus.execute(new Ship()).catch(({ message }) => message)
    }
  }
  method(Orders, 'publish', Get('/publish/:name'))
  parameter(Orders, 'publish', 0, Param('name'))
  method(Orders, 'execute', Get('/execute'))
  injected(Orders, EventBus, CommandBus)
  Controller()(Orders)
  class App {}
  Module({ imports: [CqrsModule], controllers: [Orders], providers })(App)
  const app = await core.NestFactory.create(App, { logger: ['error'] })
  await app.listen(0, '127.0.0.1')
  console.log(`listening ${app.getHttpServer().address().port}`)
}
