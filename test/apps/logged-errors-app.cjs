// Handlers that catch, log and answer for themselves: /LOGGER/HOW/STATUS.
const express = require('express')

module.exports = function start({ pino, winston, bunyan }) {
  const pinoLogger = pino({ base: null }, process.stdout)
  const loggers = {
    pino: pinoLogger,
    child: pinoLogger.child({ part: 'shop' }),
    winston: winston.createLogger({ transports: [new winston.transports.Console()] }),
    bunyan: bunyan.createLogger({ name: 'app' }),
    serialized: bunyan.createLogger({ name: 'app', serializers: bunyan.stdSerializers }),
  }
  const ways = {
    itself: (logger, error) => logger.error(error),
    field: (logger, error) =>
      logger === loggers.winston ? logger.error('failed', { error }) : logger.error({ err: error }, 'failed'),
    after: (logger, error) => logger.error(error, 'failed'),
    behind: (logger, error) => logger.error('failed', error),
    warns: (logger, error) => logger.warn(error),
    text: (logger) => logger.error('failed'),
  }
  const app = express()
  app.get('/:logger/:way/:status', (req, res) => {
    try {
      throw new TypeError('no such thing')
    } catch (error) {
      ways[req.params.way](loggers[req.params.logger], error)
      res.sendStatus(Number(req.params.status))
    }
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
