import Redis from 'ioredis'
import run from './lazy-clients-app.cjs'

run({ Redis, port: Number(process.env.REDIS_PORT) })
