// A service that asks PostgreSQL in each of the ways that postgres.js has.
const { said, suppressed } = require('./db-spans-app.cjs')

exports.postgresJsWays = function postgresJsWays({ postgres, url }) {
  const sql = postgres(url, { max: 2, onnotice() {} })
  const rows = (asked) => said(asked.then((found) => ({ rows: [...found] })))
  // What nobody asked for is no trace.
  setInterval(() => void sql`SELECT 0`.catch(() => {}), 50).unref()
  return {
    open: () => sql`SELECT 0`,
    ways: {
      '/statements': async () => {
        const column = sql('one')
        return [
          await rows(sql`SELECT ${'secret'}::text AS one`),
          await rows(sql`SELECT ${column} FROM (SELECT 2 AS one) AS these WHERE ${sql`one > ${1}`}`),
          await rows(sql.unsafe('select $1::int as one', [3])),
          await rows(sql`SELECT 4 AS one`.execute()),
          await rows(sql`SELECT 5 AS one`.simple()),
        ]
      },
      '/transaction': async () => [
        await rows(sql.begin((own) => own`SELECT 6 AS one`)),
        await rows(
          sql.begin(async (own) => {
            await own`SELECT 7 AS one`
            throw new Error('rolled back')
          }),
        ),
      ],
      // Of another database than that of the pool.
      '/other': async () => {
        const other = postgres(url.replace(/\/[^/]*$/, '/template1'), { max: 1, onnotice() {} })
        const found = await rows(other.begin((own) => own.savepoint((inner) => inner`SELECT 11 AS one`)))
        await other.end()
        return [found, await rows(sql.begin((own) => own`SELECT 12 AS one`))]
      },
      '/cursor': async () => {
        const found = []
        for await (const some of sql`SELECT * FROM generate_series(1, 3) AS one`.cursor(2)) found.push(...some)
        await sql`SELECT 8 AS one`.forEach((row) => found.push(row))
        return [{ rows: found.map(({ one }) => one) }]
      },
      '/errors': async () => [
        await rows(sql`SELECT nonsense`),
        await rows(sql`SELECT 1 / ${0}::int`),
        await rows(postgres('postgres://nobody@127.0.0.1:1/nowhere', { max: 1 })`SELECT 9`),
      ],
      // A statement that nobody waits for: its failure is unhandled, once, as it is without us.
      '/unhandled': () => {
        void sql`SELECT nonsense`.execute()
        return new Promise((resolve) => {
          process.once('unhandledRejection', ({ message }) => resolve({ error: message }))
        })
      },
      '/suppressed': () => suppressed(() => rows(sql`SELECT 10 AS one`)),
    },
  }
}
