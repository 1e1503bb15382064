import { Client, Pool } from 'pg'
import start from './pg-client-app.cjs'

await start({ Client, Pool })
