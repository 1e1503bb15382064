// A service that asks MariaDB in each of the ways that mysql2 has. Each way says in whose trace its callback ran.
const { once } = require('node:events')
const { called, said, suppressed } = require('./db-spans-app.cjs')

exports.mysqlWays = function mysqlWays({ mysql, promises, url }) {
  const pool = mysql.createPool({ uri: url, connectionLimit: 1 })
  const ONE = 'SELECT ? AS one'
  const withConnection = async (use) => {
    const connection = mysql.createConnection(url)
    try {
      return await use(connection)
    } finally {
      connection.destroy()
    }
  }
  // What nobody asked for is no trace.
  setInterval(() => pool.query('SELECT 0', () => {}), 50).unref()
  const rows = (asked) => said(asked.then(([rows]) => ({ rows })))
  const calledBack = (ask) => called((then) => ask((error, rows) => then(error, { rows })))
  const heard = (command) =>
    new Promise((resolve) => {
      let rows = 0
      let error
      command.on('result', () => rows++)
      command.on('error', ({ message }) => (error = message))
      command.on('end', () => resolve(error ? { error } : { rows }))
    })
  const streamed = (stream) =>
    new Promise((resolve) => {
      const rows = []
      stream.on('data', (row) => rows.push(row))
      stream.on('end', () => resolve({ rows }))
    })
  return {
    open: () => rows(pool.promise().query('CREATE TEMPORARY TABLE sent (id INT PRIMARY KEY)')),
    ways: {
      '/pool': async () => [
        await rows(pool.promise().query(ONE, [1])),
        await rows(pool.promise().execute(ONE, [2])),
        await calledBack((then) => pool.query('select 3 as three;', then)),
        await calledBack((then) => pool.execute(ONE, [4], then)),
      ],
      '/promises': async () => {
        const connection = await promises.createConnection(url)
        const answers = [
          await rows(connection.query({ sql: ONE, values: ['secret'] })),
          await rows(connection.execute(ONE, [5])),
          await said(connection.beginTransaction().then(() => ({}))),
          await said(connection.rollback().then(() => ({}))),
        ]
        await connection.end()
        return answers
      },
      '/connection': () =>
        withConnection(async (connection) => [
          await calledBack((then) => connection.query({ sql: ONE }, [6], then)),
          await calledBack((then) => connection.query({ sql: ONE, values: [7] }, then)),
          await calledBack((then) => connection.execute({ sql: ONE, values: [8] }, then)),
          await heard(connection.query('SELECT\n9 AS nine')),
          await heard(connection.execute(ONE, [10])),
          await streamed(connection.query(ONE, [11]).stream()),
        ]),
      '/errors': () =>
        withConnection(async (connection) => [
          await rows(pool.promise().query('INSERT INTO sent VALUES (?)', [1])),
          await rows(pool.promise().query('INSERT INTO sent VALUES (?)', [1])),
          await calledBack((then) => connection.execute('SELECT nonsense', then)),
          await heard(connection.query('SELECT nonsense')),
          await heard(connection.execute('SELECT nonsense')),
          await new Promise((resolve) => {
            try {
              connection.execute(ONE, [undefined])
            } catch ({ message }) {
              resolve({ error: message })
            }
          }),
        ]),
      // With a callback, and without one: then the connection alone says so.
      '/lost': async () => {
        const lost = mysql.createConnection(url)
        const gone = once(lost, 'error')
        lost.query('SELECT SLEEP(60)')
        const id = await new Promise((resolve) => {
          lost.once('connect', ({ connectionId }) => resolve(connectionId))
        })
        await rows(pool.promise().query('KILL ?', [id]))
        const [{ message }] = await gone
        return [{ error: message }, await calledBack((then) => lost.query(ONE, [12], then))]
      },
      // A question that nobody waits for: its failure is unhandled, once, as it is without us.
      '/unhandled': () => {
        void pool.promise().query('SELECT nonsense')
        return new Promise((resolve) => {
          process.once('unhandledRejection', ({ message }) => resolve({ error: message }))
        })
      },
      '/suppressed': () => suppressed(() => rows(pool.promise().query(ONE, [13]))),
    },
  }
}
