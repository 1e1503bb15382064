// A web service and a consumer of Kafka in one file: ROLE says which. The records do what their value says.
module.exports = function start({ express, Kafka, Partitioners }) {
  const kafka = new Kafka({ brokers: [process.env.KAFKA], logLevel: 0, retry: { initialRetryTime: 50, retries: 8 } })
  const topic = process.env.TOPIC
  if (process.env.ROLE === 'worker') return void work(kafka, topic)
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  const transactional = kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionalId: `web-${process.pid}`,
  })
  const app = express()
  app.get('/send/:how', async (req, res) => {
    const [sent] = await producer.send({ topic, messages: [{ key: 'k', value: req.params.how }] })
    res.json(sent)
  })
  app.get('/refused', async (req, res) => {
    const sending = producer.send({ topic, messages: [{ value: Buffer.alloc(100_000) }] })
    res.json(await sending.catch((error) => error.type))
  })
  app.get('/rolled-back', async (req, res) => {
    const transaction = await transactional.transaction()
    await transaction.send({ topic, messages: [{ value: 'never seen' }] })
    await transaction.abort()
    res.json({})
  })
  const server = app.listen(0, '127.0.0.1', async () => {
    const admin = kafka.admin()
    await Promise.all([admin.connect(), producer.connect(), transactional.connect()])
    await admin.createTopics({ topics: [{ topic }] })
    await admin.disconnect()
    console.log(`listening ${server.address().port}`)
  })
}

async function work(kafka, topic) {
  const consumer = kafka.consumer({
    groupId: process.env.GROUP ?? 'mailers',
    sessionTimeout: 1500,
    heartbeatInterval: 200,
  })
  const failed = new Set()
  consumer.on('consumer.group_join', () => console.log('ready'))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      const how = message.value.toString()
      console.log(`record ${how}`)
      if (how === 'fails' && !failed.has(message.offset)) {
        failed.add(message.offset)
        throw new Error('the mail server said no')
      }
      if (how === 'hangs' && !process.env.FAST) await new Promise(() => setInterval(() => {}, 1000))
    },
  })
}
