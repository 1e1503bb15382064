// Timetables of four libraries in one process. ROLE=watch only looks after the ledger.
module.exports = function start({ nodeCron, Cron, CronJob, nodeSchedule, http }) {
  const each = '* * * * * *'
  const quiet = { debug() {}, info() {}, warn() {}, error() {} }
  let hangs = 0
  const hang = () => {
    if (++hangs === 4) console.log('all hang')
    return new Promise(() => setInterval(() => {}, 1000))
  }
  const fail = async () => {
    throw new TypeError('no paper')
  }
  if (process.env.ROLE !== 'watch') {
    nodeCron.schedule(each, async () => 1, { name: 'well', maxExecutions: 1 })
    nodeCron.schedule(each, fail, { name: 'broken', maxExecutions: 1, logger: quiet })
    nodeCron.createTask(each, hang, { name: 'hung', maxExecutions: 1 }).start()
    new Cron(each, { name: 'well', maxRuns: 1 }, () => 1)
    new Cron(each, { name: 'broken', maxRuns: 1, catch: true }, fail)
    const once = (name, run) =>
      CronJob.from({
        cronTime: each,
        name,
        start: true,
        errorHandler() {},
        onTick() {
          this.stop()
          return run()
        },
      })
    once('well', () => 1)
    once('broken', fail)
    const onDate = (name, run) =>
      nodeSchedule
        .scheduleJob(name, each, function () {
          this.cancel()
          return run()
        })
        .on('error', () => {})
    onDate('well', () => 1)
    onDate('broken', fail)
    process.on('unhandledRejection', () => {})
    // Made by a request, and yet no request's.
    const server = http.createServer((req, res) => {
      new Cron(each, { name: 'hung', maxRuns: 1 }, hang)
      new Cron(each, { name: 'loose', maxRuns: 1 }, fail)
      once('hung', hang)
      onDate('hung', hang)
      res.end('ok')
    })
    server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
  } else {
    setInterval(() => {}, 1000)
    console.log('ready')
  }
}
