// A service that asks MongoDB in each of the ways that are told differently.
const { said, suppressed } = require('./db-spans-app.cjs')

exports.mongodbWays = function mongodbWays({ MongoClient, url }) {
  const client = new MongoClient(url, { heartbeatFrequencyMS: 500, serverSelectionTimeoutMS: 1_000 })
  const orders = client.db('shop').collection('orders')
  const nowhere = new MongoClient('mongodb://127.0.0.1:1', { serverSelectionTimeoutMS: 200 })
  const heard = (asked) => said(asked.then(() => ({ rows: 'well' })))
  // What nobody asked for is no trace.
  setInterval(() => orders.findOne({ poll: 1 }).catch(() => {}), 50).unref()
  return {
    open: () => orders.findOne({}),
    ways: {
      // By a client that is made here: what it says of itself is nobody's.
      '/connects': async () => {
        const own = new MongoClient(url)
        const answer = await heard(own.db('shop').collection('orders').findOne({ _id: 'secret' }))
        await own.close()
        return [answer]
      },
      '/commands': async () => [
        await heard(orders.find({ paid: true, 'customer.mail': 'secret' }).toArray()),
        await heard(orders.aggregate([{ $match: { mail: 'secret' } }, { $limit: 1 }]).toArray()),
        await heard(orders.estimatedDocumentCount()),
        await heard(orders.updateOne({ _id: 'secret' }, { $set: { mail: 'secret' } })),
        await heard(orders.deleteOne({ _id: 'secret' })),
        await heard(client.db('shop').command({ ping: 1 })),
      ],
      '/errors': async () => [
        await heard(orders.insertOne({ _id: 'secret', mail: 'secret' })),
        await heard(orders.distinct('mail', { paid: true })),
        await heard(nowhere.db('shop').collection('orders').findOne({})),
      ],
      // A command that nobody waits for: its failure is unhandled, once, as it is without us.
      '/unhandled': () => {
        void orders.distinct('mail')
        return new Promise((resolve) => {
          process.once('unhandledRejection', ({ message }) => resolve({ error: message }))
        })
      },
      '/suppressed': () => suppressed(() => heard(orders.findOne({}))),
    },
  }
}
