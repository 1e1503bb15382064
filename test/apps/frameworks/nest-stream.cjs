require('reflect-metadata')
const { Readable } = require('node:stream')
const { Controller, Get, Module, Sse, StreamableFile } = require('@nestjs/common')
const { NestFactory } = require('@nestjs/core')
const { concatMap, of, throwError, timer } = require('rxjs')
const { listening } = require('./here.cjs')

class Root {
  breaks() {
    const body = new Readable({ read() {} })
    body.push('the first half')
    setTimeout(() => body.destroy(new TypeError('no such thing')), 20)
    return new StreamableFile(body)
  }
  events() {
    const fails = () => throwError(() => new TypeError('no such thing'))
    return timer(0, 20).pipe(concatMap((n) => (n < 2 ? of({ data: 'the first half' }) : fails())))
  }
}
method('breaks', Get('breaks/:id'))
method('events', Sse('events/:id'))
Controller()(Root)
class App {}
Module({ controllers: [Root] })(App)

void NestFactory.create(App, { logger: false }).then(async (app) => {
  await app.listen(0, '127.0.0.1')
  listening(app.getHttpServer())
})

function method(name, decorate) {
  decorate(Root.prototype, name, Object.getOwnPropertyDescriptor(Root.prototype, name))
}
