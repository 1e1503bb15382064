// A web service that sends whatever it is asked to, and a consumer of TOPIC that does what a record says.
const { connect } = require('node:net')
const express = require('express')
const { Kafka, Partitioners } = require('kafkajs')

const { GROUP = 'group', KAFKA, MODE, PROXY_PORT, ROLE, TOPIC } = process.env
const TOPICS = ['plain', 'twice', 'late', 'moved', 'stolen', 'batch', 'after']
const createPartitioner = Partitioners.DefaultPartitioner

/** Whatever the broker calls itself, it is reached by the proxy. */
const socketFactory = ({ onConnect }) => connect(Number(PROXY_PORT), '127.0.0.1', onConnect).setKeepAlive(true)

async function serve(kafka) {
  const admin = kafka.admin()
  const producers = {
    patient: kafka.producer({ createPartitioner }),
    impatient: kafka.producer({ createPartitioner, retry: { retries: 0 } }),
    transactional: kafka.producer({ createPartitioner, idempotent: true, transactionalId: `web-${process.pid}` }),
  }
  await admin.connect()
  await admin.createTopics({ topics: TOPICS.map((topic) => ({ topic })) })
  await Promise.all(Object.values(producers).map((producer) => producer.connect()))
  const app = express()
  app.get('/send/:producer/:topic', (req, res) => {
    const { body } = req.query
    producers[req.params.producer].send({ topic: req.params.topic, messages: [{ value: body }] }).then(
      () => console.log(`${req.params.topic}: sent ${body}`),
      () => console.log(`${req.params.topic}: refused ${body}`),
    )
    res.status(202).end()
  })
  app.get('/dies', async () => {
    const transaction = await producers.transactional.transaction()
    await transaction.send({ topic: 'plain', messages: [{ value: 'never seen' }] })
    process.kill(process.pid, 'SIGKILL')
  })
  app.get('/count/:topic', async (req, res) => {
    const [{ high }] = await admin.fetchTopicOffsets(req.params.topic)
    res.send(high)
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

const seen = new Set()
async function run(how, offset, heartbeat) {
  console.log(`has ${how}`)
  const isFirst = !seen.has(offset)
  seen.add(offset)
  if (how === 'is slow' && isFirst) await new Promise((resolve) => process.once('SIGUSR2', resolve))
  if (how === 'is polite' && isFirst && MODE === 'first')
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      await heartbeat()
    }
  if (how === 'is bad' && isFirst) throw new Error('the mail server said no')
  if (how === 'kills') setImmediate(() => process.kill(process.pid, 'SIGKILL'))
}

async function work(kafka) {
  const consumer = kafka.consumer({
    groupId: GROUP,
    sessionTimeout: 1500,
    heartbeatInterval: 100,
    rebalanceTimeout: 3000,
  })
  consumer.on('consumer.group_join', () => console.log('ready'))
  await consumer.connect()
  await consumer.subscribe({ topics: [TOPIC], fromBeginning: true })
  await consumer.run(
    MODE === 'batch'
      ? {
          eachBatch: async ({ batch, heartbeat, resolveOffset }) => {
            for (const { offset, value } of batch.messages) {
              await run(value.toString(), offset, heartbeat)
              resolveOffset(offset)
            }
          },
        }
      : {
          // Else it is a race: the commit is written in the turn in which the handler has ended.
          autoCommit: MODE !== 'commits late',
          eachMessage: ({ message, heartbeat }) => run(message.value.toString(), message.offset, heartbeat),
        },
  )
}

const retry = { initialRetryTime: 50, retries: 8 }
const kafka = new Kafka({ brokers: [KAFKA], logLevel: 0, retry, ...(PROXY_PORT ? { socketFactory } : {}) })
void (ROLE === 'web' ? serve(kafka) : work(kafka))
