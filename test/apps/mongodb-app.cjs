// A web service over MongoDB: it looks for an order in each request.
module.exports = async function start({ express, MongoClient }) {
  const client = new MongoClient(process.env.MONGODB_URL, { heartbeatFrequencyMS: 500 })
  const orders = client.db('shop').collection('orders')
  const app = express()
  app.get('/orders/:id', async ({ params: { id } }, res) => {
    res.json(await orders.findOne({ _id: id }))
  })
  app.get('/close', async (req, res) => {
    await client.close()
    res.end()
  })
  const server = app.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
