// A web service and a consumer of Kafka in one file, by @confluentinc/kafka-javascript, which CONFLUENT_KAFKA_DIR has installed. ROLE says
// which; the records do what their value says.
const { createRequire } = require('node:module')
const { join } = require('node:path')
const express = require('express')

const installed = createRequire(join(process.env.CONFLUENT_KAFKA_DIR, 'package.json'))
const { Kafka, logLevel } = installed('@confluentinc/kafka-javascript').KafkaJS
const kafka = new Kafka({ kafkaJS: { brokers: [process.env.KAFKA], logLevel: logLevel.NOTHING } })
const topic = process.env.TOPIC

async function serve() {
  const admin = kafka.admin()
  const producer = kafka.producer()
  const transactional = kafka.producer({ kafkaJS: { idempotent: true, transactionalId: `web-${process.pid}` } })
  const unanswered = kafka.producer({ kafkaJS: { acks: 0 } })
  await Promise.all([admin, producer, transactional, unanswered].map((client) => client.connect()))
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
  await admin.disconnect()
  const app = express()
  app.get('/send/:how', async (req, res) => {
    res.json(await producer.send({ topic, messages: [{ key: 'k', value: req.params.how, headers: { own: 'x' } }] }))
  })
  app.get('/batch', async (req, res) => {
    const messages = [{ value: 'one' }, { value: 'two' }]
    res.json(await producer.sendBatch({ topicMessages: [{ topic, messages }] }))
  })
  app.get('/refused', async (req, res) => {
    const sending = producer.send({ topic, messages: [{ value: Buffer.alloc(2_000_000) }] })
    res.json(await sending.catch((error) => error.message))
  })
  app.get('/transaction/:end', async (req, res) => {
    const transaction = await transactional.transaction()
    await transaction.send({ topic, messages: [{ value: req.params.end }] })
    await transaction[req.params.end]()
    res.json({})
  })
  app.get('/unanswered', async (req, res) => {
    res.json(await unanswered.send({ topic, messages: [{ value: 'no answer' }] }))
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

async function work() {
  const { BATCH, FAST, GROUP = 'mailers' } = process.env
  const consumer = kafka.consumer({ kafkaJS: { groupId: GROUP, fromBeginning: true, sessionTimeout: 6000 } })
  const failed = new Set()
  const handle = async ({ offset, value }) => {
    const how = value.toString()
    console.log(`record ${how}`)
    if (how === 'fails' && !failed.has(offset)) {
      failed.add(offset)
      throw new Error('the mail server said no')
    }
    if (how === 'hangs' && !FAST) await new Promise(() => setInterval(() => {}, 1000))
  }
  await consumer.connect()
  await consumer.subscribe({ topics: [topic] })
  await consumer.run(
    BATCH
      ? {
          eachBatchAutoResolve: false,
          eachBatch: async ({ batch, resolveOffset }) => {
            for (const message of batch.messages) {
              await handle(message)
              resolveOffset(message.offset)
            }
          },
        }
      : { eachMessage: ({ message }) => handle(message) },
  )
  console.log('ready')
}

void (process.env.ROLE === 'worker' ? work() : serve())
