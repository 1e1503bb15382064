require('./lazy-clients-app.cjs')({ Redis: require('ioredis'), port: Number(process.env.REDIS_PORT) })
