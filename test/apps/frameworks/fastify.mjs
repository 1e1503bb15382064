import fastify from 'fastify'
import start from './fastify-app.cjs'

await start(fastify)
