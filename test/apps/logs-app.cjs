// Shared by the CommonJS and the ESM form: /KIND logs some lines in a request, and the same outside of any when the app starts.
const http = require('node:http')

module.exports = function start({ pino, winston, bunyan }) {
  const json = pino({ base: null, timestamp: false }, process.stdout)
  const mixed = pino({ base: null, timestamp: false, mixin: () => ({ mine: 1, trace_id: 'my own' }) }, process.stdout)
  const winstonJson = winston.createLogger({ transports: [new winston.transports.Console()] })
  const winstonText = winston.createLogger({
    format: winston.format.printf(({ level, message }) => `${level}! ${message}`),
    transports: [new winston.transports.Console()],
  })
  const bunyanJson = bunyan.createLogger({ name: 'app', hostname: 'h', pid: 1 })
  const once = { message: 'an object of the app', level: 'info' }
  const kinds = {
    pino() {
      json.info('text')
      json.info({ a: 1 }, 'with an object')
      json.child({ child: true }).warn(new Error('wrong'))
      mixed.info('with a mixin')
    },
    winston() {
      winstonJson.info('text', { a: 1 })
      winstonJson.child({ child: true }).warn('of a child')
      winstonJson.log(once)
      winstonText.info('a line of its own')
      if ('trace_id' in once) console.log('the object of the app was changed')
    },
    bunyan() {
      bunyanJson.info({ a: 1, time: 'T' }, 'text')
      bunyanJson.child({ child: true }).warn({ time: 'T' }, 'of a child')
    },
    console() {
      console.log('a raw line')
      console.log('%s is %d', 'formatted', 1)
      console.log(JSON.stringify({ level: 'info', text: 'a "quoted" }' }))
      console.log('{}')
      console.log('{ not json }')
      console.log({ a: 1 })
      console.log()
      console.log('100%')
    },
  }
  const server = http.createServer((request, response) => {
    setImmediate(() => {
      const kind = request.url.slice(1)
      kinds[kind]()
      process.stdout.write(`end ${kind}\n`)
      response.end('ok')
    })
  })
  server.listen(0, '127.0.0.1', () => {
    console.log(`listening ${server.address().port}`)
    json.info('outside')
    winstonJson.info('outside')
    bunyanJson.info({ time: 'T' }, 'outside')
    console.log('outside')
    process.stdout.write('end outside\n')
  })
}
