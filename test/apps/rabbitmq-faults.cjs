// A web service that publishes whatever it is asked to, and a worker of the queues in QUEUES that does what a message says. As a
// stranger it has declared none of them.
const { connect } = require('amqplib')
const express = require('express')

const { AMQP_URL, QUEUES, ROLE } = process.env

async function declare(channel) {
  await channel.assertQueue('dead-letters')
  const toDead = { deadLetterExchange: '', deadLetterRoutingKey: 'dead-letters' }
  await channel.assertQueue('work', toDead)
  await channel.assertQueue('brief', { ...toDead, messageTtl: 100 })
  await channel.assertQueue('few', { ...toDead, arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 } })
  await channel.assertQueue('spare')
  await channel.assertQueue('returning', { deadLetterExchange: '', deadLetterRoutingKey: 'waiting' })
  await channel.assertQueue('waiting', { messageTtl: 50, deadLetterExchange: '', deadLetterRoutingKey: 'returning' })
  await channel.assertExchange('spares', 'fanout')
  await channel.bindQueue('spare', 'spares', '')
  await channel.assertExchange('orders', 'topic', { alternateExchange: 'spares' })
  await channel.assertExchange('all', 'fanout')
  for (const queue of ['mail', 'stock']) {
    await channel.assertQueue(queue, toDead)
    await channel.bindQueue(queue, 'all', '')
  }
}

async function work(channel, queues) {
  await channel.prefetch(10)
  for (const queue of queues)
    await channel.consume(queue, async (message) => {
      const how = message.content.toString()
      console.log(`${queue} has ${how}`)
      if (how === 'kills' && queue === 'few') return process.kill(process.pid, 'SIGKILL')
      if (how === 'fails in stock' && queue === 'stock') return channel.reject(message, false)
      if (how === 'fails at first' && !message.properties.headers['x-death']) return channel.reject(message, false)
      if (how === 'once more' && !message.fields.redelivered) return channel.nack(message)
      channel.ack(message)
    })
  console.log('ready')
}

async function serve(connection) {
  const [plain, confirming] = [await connection.createChannel(), await connection.createConfirmChannel()]
  for (const channel of [plain, confirming]) channel.on('error', () => {})
  const app = express()
  app.get('/publish/:channel', (req, res) => {
    const { exchange = '', key = '', body = 'is fine', expiration } = req.query
    const channel = req.params.channel === 'plain' ? plain : confirming
    channel.publish(exchange, key, Buffer.from(body), { persistent: true, expiration }, (error) =>
      console.log(`${body}: ${error ? 'refused' : 'confirmed'}`),
    )
    res.status(202).end()
  })
  app.get('/delete/:queue', async (req, res) => res.json(await plain.deleteQueue(req.params.queue)))
  app.get('/count/:queue', async (req, res) => res.json((await plain.checkQueue(req.params.queue)).messageCount))
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

async function start() {
  const connection = await connect(AMQP_URL)
  connection.on('error', () => console.log('cut'))
  const channel = await connection.createChannel()
  channel.on('error', () => {})
  if (ROLE !== 'stranger') await declare(channel)
  if (ROLE === 'web') await serve(connection)
  else await work(channel, QUEUES.split(','))
}
void start()
