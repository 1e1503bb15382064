import { createConnection, createPool } from 'mysql2/promise'
import start from './mysql-app.cjs'

start(createPool({ uri: process.env.DATABASE_URL, connectionLimit: 2 }), () =>
  createConnection(process.env.DATABASE_URL),
)
