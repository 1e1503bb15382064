// What @Cron, @Interval and @Timeout run, of which Nest catches and logs what it throws.
const { setImmediate: turn } = require('node:timers/promises')
const { method } = require('./decorate.cjs')

module.exports = async function start({ common, core, schedule }) {
  const { Injectable, Module } = common
  const { Cron, Interval, ScheduleModule, Timeout } = schedule
  const each = '* * * * * *'
  let hanging = 0
  const hang = () => {
    if (++hanging === 2) console.log('all hang')
    return new Promise(() => setInterval(() => {}, 1000))
  }
  class Reports {
    nightly() {
      return 1
    }
    async weekly() {
      await turn()
      throw new TypeError('no paper')
    }
    poll() {
      throw new RangeError('no source')
    }
    hangs() {
      return hang()
    }
    async warms() {
      await hang()
    }
  }
  method(Reports, 'nightly', Cron(each))
  method(Reports, 'weekly', Cron(each, { name: 'by mail' }))
  method(Reports, 'poll', Interval(100))
  method(Reports, 'hangs', Cron(each, { waitForCompletion: true }))
  method(Reports, 'warms', Timeout('warm-up', 10))
  Injectable()(Reports)
  class App {}
  Module({ imports: [ScheduleModule.forRoot()], providers: [Reports] })(App)
  const app = await core.NestFactory.create(App, { logger: ['error'] })
  await app.init()
}
