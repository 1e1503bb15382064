const mysql = require('mysql2')

const pool = mysql.createPool({ uri: process.env.DATABASE_URL, connectionLimit: 2 })
require('./mysql-app.cjs')(pool.promise(), async () => {
  const connection = mysql.createConnection(process.env.DATABASE_URL)
  await connection.promise().connect()
  return connection.promise()
})
