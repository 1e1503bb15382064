import { createClient } from 'redis'
import start from './node-redis-app.cjs'

await start({ createClient })
