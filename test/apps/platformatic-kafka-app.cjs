// A web service and a consumer of Kafka in one file: ROLE says which. The records do what their value says.
module.exports = function start({ express, Consumer, Producer, stringDeserializers, stringSerializers }) {
  const base = { clientId: 'shop', bootstrapBrokers: [process.env.KAFKA], autocreateTopics: true, retries: 20 }
  const topic = process.env.TOPIC
  if (process.env.ROLE === 'worker')
    return void work(
      new Consumer({ ...base, groupId: topic, deserializers: stringDeserializers, maxWaitTime: 100 }),
      topic,
    )
  const producer = new Producer({ ...base, serializers: stringSerializers, retryDelay: 50 })
  const app = express()
  app.get('/send/:how', async (req, res) => {
    await producer.send({ messages: [{ topic, value: req.params.how }] })
    res.json({})
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

async function work(consumer, topic) {
  const stream = await consumer.consume({
    topics: [topic],
    mode: 'committed',
    fallbackMode: 'earliest',
    autocommit: false,
    sessionTimeout: 1500,
    heartbeatInterval: 300,
  })
  console.log('ready')
  for await (const message of stream) {
    console.log(`record ${message.value}`)
    if (message.value === 'hangs' && !process.env.FAST) await new Promise(() => setInterval(() => {}, 1000))
    await message.commit()
  }
}
