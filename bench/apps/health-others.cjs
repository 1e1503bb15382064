// The same endpoint as others make it, each with one check that is well. `need` requires from the folder in which they were installed.
const { createRequire } = require('node:module')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')

/** By the name that `--against` takes: the server that listens, and where it says whether it is ready. */
const OTHERS = {
  async 'nestjs-terminus'(need) {
    need('reflect-metadata')
    const { Controller, Get, Inject, Module } = need('@nestjs/common')
    const { NestFactory } = need('@nestjs/core')
    const { HealthCheck, HealthCheckService, TerminusModule } = need('@nestjs/terminus')
    class Health {
      constructor(health) {
        this.health = health
      }
      check() {
        return this.health.check([async () => ({ db: { status: 'up' } })])
      }
    }
    class App {}
    // What a compiler makes of the decorators.
    const check = Object.getOwnPropertyDescriptor(Health.prototype, 'check')
    for (const decorate of [Get('readyz'), HealthCheck()]) decorate(Health.prototype, 'check', check)
    Inject(HealthCheckService)(Health, undefined, 0)
    Controller()(Health)
    Module({ imports: [TerminusModule.forRoot({ logger: false })], controllers: [Health] })(App)
    const app = await NestFactory.create(App, { logger: false })
    await app.listen(0, '127.0.0.1')
    return { server: app.getHttpServer(), path: '/readyz' }
  },
  async lightship(need, folder) {
    // Its file for require() is none.
    const { createLightship } = await import(
      pathToFileURL(join(folder, 'node_modules/lightship/dist/esm/index.js')).href
    )
    // Outside of Kubernetes its port is a free one.
    const lightship = await createLightship({ signals: [] })
    lightship.signalReady()
    return { server: lightship.server, path: '/ready' }
  },
  async 'under-pressure'(need) {
    const app = need('fastify')()
    app.register(need('@fastify/under-pressure'), { exposeStatusRoute: '/readyz', healthCheck: async () => true })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { server: app.server, path: '/readyz' }
  },
}

exports.startOther = (name, folder) => OTHERS[name](createRequire(join(folder, 'index.js')), folder)
