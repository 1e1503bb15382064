// A web service and a worker of RabbitMQ in one file: ROLE says which. The messages do what they say. `connect` gives promises:
// those of amqplib, or its callback face made into such.
module.exports = async function start({ express, connect }) {
  const connection = await connect(process.env.AMQP_URL)
  const channel = await connection.createChannel()
  await channel.assertQueue(`${QUEUE}-parked`)
  await channel.assertQueue(QUEUE, { deadLetterExchange: '', deadLetterRoutingKey: `${QUEUE}-parked` })
  await channel.assertExchange(`${QUEUE}-all`, 'fanout')
  await channel.assertQueue(`${QUEUE}-audit`)
  for (const queue of [QUEUE, `${QUEUE}-audit`]) await channel.bindQueue(queue, `${QUEUE}-all`, '')
  if (process.env.ROLE === 'worker') await work(channel, QUEUE)
  else if (process.env.ROLE === 'audit') await work(channel, `${QUEUE}-audit`)
  else await serve(express(), channel, await connection.createConfirmChannel())
}

const { QUEUE } = process.env

async function work(channel, queue) {
  if (process.env.CATCHES) process.on(process.env.CATCHES, ({ message }) => console.log(`caught ${message}`))
  await channel.prefetch(10)
  await channel.consume(queue, async (message) => {
    const how = message.content.toString()
    console.log(`message ${how} ${Object.keys(message.properties.headers).join()}`)
    if (how === 'acked') channel.ack(message)
    if (how === 'fails') return channel.nack(message, false, false)
    if (how === 'hangs' || how === 'acked' || (how === 'differs' && queue !== QUEUE)) await hang()
    if (how === 'rejects' && !process.env.FAST) throw new TypeError('the mail server said no')
    channel.ack(message)
  })
  console.log('ready')
}

/** For ever, unless FAST says that this worker is the next one. */
function hang() {
  return process.env.FAST ? undefined : new Promise(() => setInterval(() => {}, 1000))
}

async function serve(app, plain, confirming) {
  confirming.on('return', ({ fields }) => console.log(`returned ${fields.replyText}`))
  app.get('/send/:how', (req, res) => {
    confirming.sendToQueue(QUEUE, Buffer.from(req.params.how), {}, (error) => res.json({ error }))
  })
  app.get('/late/:how', (req, res) => {
    res.end()
    setTimeout(() => plain.sendToQueue(QUEUE, Buffer.from(req.params.how)), 5)
  })
  app.get('/everywhere/:how', (req, res) => {
    confirming.publish(`${QUEUE}-all`, '', Buffer.from(req.params.how), {}, (error) => res.json({ error }))
  })
  app.get('/nowhere', (req, res) => {
    res.json(confirming.publish('', 'nobody', Buffer.from('nobody'), { mandatory: true }))
  })
  app.get('/dies', () => {
    plain.sendToQueue(QUEUE, Buffer.from('never sent'))
    process.kill(process.pid, 'SIGKILL')
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
