// A web service and a worker of an SQS queue in one file: ROLE says which. The messages do what they say.
module.exports = function start({ express, sdk }) {
  const { SQS_URL, QUEUE_URL: QueueUrl, ROLE } = process.env
  const credentials = { accessKeyId: 'a', secretAccessKey: 's' }
  const sqs = new sdk.SQSClient({ endpoint: SQS_URL, region: 'eu-central-1', credentials, maxAttempts: 1 })
  const ask = (name, input) => sqs.send(new sdk[`${name}Command`]({ QueueUrl, ...input }))
  if (ROLE === 'worker') return void work(ask)
  const app = express()
  app.get('/send/:how', async (req, res) => {
    const { MessageId } = await ask('SendMessage', { MessageBody: req.params.how })
    res.json({ id: MessageId })
  })
  app.get('/send-many', async (req, res) => {
    const Entries = ['succeeds', 'refused', 'succeeds'].map((MessageBody, i) => ({ Id: `e${i}`, MessageBody }))
    const { Failed } = await ask('SendMessageBatch', { Entries })
    res.json({ failed: Failed.length })
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}

async function work(ask) {
  console.log('ready')
  for (;;) {
    const { Messages = [] } = await ask('ReceiveMessage', { MaxNumberOfMessages: 10, WaitTimeSeconds: 1 })
    for (const { Body: how, ReceiptHandle, Attributes } of Messages) {
      console.log(`job ${how} ${Attributes}`)
      if (how === 'hangs' && !process.env.FAST) await new Promise(() => setInterval(() => {}, 1000))
      if (how === 'fails') {
        await ask('ChangeMessageVisibility', { ReceiptHandle, VisibilityTimeout: 0 })
        continue
      }
      await ask('DeleteMessage', { ReceiptHandle })
      if (how === 'dies-after') process.kill(process.pid, 'SIGKILL')
    }
  }
}
