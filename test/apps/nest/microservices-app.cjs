// ROLE=web sends events by RabbitMQ, ROLE=worker handles them: Nest catches what a handler throws, logs it, and the message was
// acknowledged when it came. ROLE=slow acknowledges by itself.
const { setImmediate: turn } = require('node:timers/promises')
const { injected, method, parameter } = require('./decorate.cjs')

module.exports = async function start({ common, core, microservices, rxjs }) {
  const { Catch, Controller, Get, Module, Param, UseFilters } = common
  const { ClientsModule, Ctx, EventPattern, MessagePattern, Transport } = microservices
  const isSlow = process.env.ROLE === 'slow' || process.env.BUS === 'slow'
  const options = {
    transport: Transport.RMQ,
    options: {
      urls: [process.env.AMQP_URL],
      queue: isSlow ? `${process.env.QUEUE}.slow` : process.env.QUEUE,
      noAck: process.env.ROLE !== 'slow',
      queueOptions: { durable: false },
    },
  }
  if (process.env.ROLE === 'web') await web()
  else await worker()

  async function web() {
    class Orders {
      constructor(bus) {
        this.bus = bus
      }
      async emit(name) {
        await rxjs.lastValueFrom(this.bus.emit(name, {}), { defaultValue: undefined })
        return 'sent'
      }
      async send(name) {
        return await rxjs.lastValueFrom(this.bus.send(name, {})).catch(({ message }) => message)
      }
    }
    method(Orders, 'emit', Get('/emit/:name'))
    method(Orders, 'send', Get('/send/:name'))
    for (const name of ['emit', 'send']) parameter(Orders, name, 0, Param('name'))
    injected(Orders, 'BUS')
    Controller()(Orders)
    class App {}
    Module({ imports: [ClientsModule.register([{ name: 'BUS', ...options }])], controllers: [Orders] })(App)
    const app = await core.NestFactory.create(App, { logger: ['error'] })
    await app.listen(0, '127.0.0.1')
    console.log(`listening ${app.getHttpServer().address().port}`)
  }

  async function worker() {
    const fail = async () => {
      await turn()
      throw new TypeError('no paper')
    }
    class Work {
      done() {
        return 1
      }
      throws() {
        throw new RangeError('no address')
      }
      rejects() {
        return fail()
      }
      streams() {
        return rxjs.timer(1).pipe(rxjs.mergeMap(fail))
      }
      filtered() {
        return fail()
      }
      gotOver() {
        return fail()
      }
      async acks(context) {
        context.getChannelRef().ack(context.getMessage())
        await fail()
      }
      asks() {
        return fail()
      }
    }
    class Refuses {
      catch(error) {
        return rxjs.throwError(() => ({ refused: error.message }))
      }
    }
    class GetsOver {
      catch() {
        return rxjs.of('well')
      }
    }
    Catch()(Refuses)
    Catch()(GetsOver)
    for (const name of ['done', 'throws', 'rejects', 'streams', 'filtered', 'gotOver', 'acks'])
      method(Work, name, EventPattern(name))
    parameter(Work, 'acks', 0, Ctx())
    method(Work, 'filtered', UseFilters(new Refuses()))
    method(Work, 'gotOver', UseFilters(new GetsOver()))
    method(Work, 'asks', MessagePattern('asks'))
    Controller()(Work)
    class App {}
    Module({ controllers: [Work] })(App)
    const app = await core.NestFactory.createMicroservice(App, { ...options, logger: ['error'] })
    await app.listen()
    console.log('ready')
  }
}
