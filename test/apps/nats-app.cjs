// A web service and a worker of JetStream in one file: ROLE says which. The messages do what they say. `join` gives the client and
// its manager, by either package.
module.exports = async function start({ express, join }) {
  const { client, manager } = await join(process.env.NATS_URL)
  if (process.env.ROLE === 'worker') await work(client)
  else await serve(express(), client, manager)
}

const { QUEUE } = process.env

async function work(client) {
  const seen = new Map()
  const second = Promise.withResolvers()
  const handle = async (message) => {
    const how = message.string()
    const run = (seen.get(how) ?? 0) + 1
    seen.set(how, run)
    console.log(`message ${how} ${message.info.deliveryCount} ${[...message.headers].map(([name]) => name).join()}`)
    if (how === 'refused') return message.term()
    if (how === 'fails') return message.nak()
    if (how === 'rejected') throw new TypeError('the mail server said no')
    if (how === 'acked') message.ack()
    if (how === 'hangs') loops.late.stop() // it is not to get its own message again
    if (how === 'hangs' || how === 'acked') await hang()
    if (how === 'slow' && run === 1) await second.promise
    if (how === 'slow') second.resolve()
    message.ack()
  }
  const consume = async (stream) => (await client.consumers.get(stream, 'worker')).consume({ callback: handle })
  const loops = { soon: await consume(QUEUE), late: await consume(`${QUEUE}-late`) }
  console.log('ready')
}

/** For ever, unless FAST says that this worker is the next one. */
function hang() {
  return process.env.FAST ? undefined : new Promise(() => setInterval(() => {}, 1000))
}

async function serve(app, client, manager) {
  const worker = { durable_name: 'worker', ack_policy: 'explicit', max_deliver: 2 }
  for (const [stream, seconds] of [
    [QUEUE, 60],
    [`${QUEUE}-late`, 1],
  ]) {
    await manager.streams.add({ name: stream, subjects: [`${stream}.>`] })
    await manager.consumers.add(stream, { ...worker, ack_wait: seconds * 1e9 })
  }
  const publish = (stream, how, options) => client.publish(`${stream}.send`, how, options)
  // What nobody answers comes again after ack_wait.
  app.get('/send/:how', async ({ params: { how } }, res) => {
    res.json(await publish(how === 'hangs' ? `${QUEUE}-late` : QUEUE, how))
  })
  app.get('/late/:how', async (req, res) => res.json(await publish(`${QUEUE}-late`, req.params.how)))
  app.get('/twice', async (req, res) => {
    for (const how of ['once', 'again']) await publish(QUEUE, how, { msgID: 'twice' })
    res.end()
  })
  app.get('/nowhere', async (req, res) => {
    await client.publish(`${QUEUE}-nobody`, 'x').catch((error) => console.log(`refused ${error.name}`))
    res.end()
  })
  app.get('/dies', () => {
    void publish(QUEUE, 'never sent')
    process.kill(process.pid, 'SIGKILL')
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
