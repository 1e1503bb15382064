// Answers, and goes on in the same handler: what that ends with goes to the framework, which has nobody to give it to.
const { setTimeout: sleep } = require('node:timers/promises')
const { callbackify } = require('node:util')
const express = require('express')
const fastify = require('fastify')()
const Koa = require('koa')

const end = (act) => {
  if (act === 'abort') AbortSignal.abort().throwIfAborted()
  if (act !== 'good') throw new RangeError('the invoice was not written')
}
const work = async (act) => {
  await sleep(20)
  end(act)
}
const app = express()
app.get('/express/refused', (_req, res, next) => {
  res.status(409).end()
  next(new RangeError('told by the status'))
})
app.get('/express/twice', (_req, res) => {
  res.json({ answer: 1 })
  res.json({ answer: 2 })
})
app.get('/express/:act', async (req, res) => {
  res.send('ok')
  await work(req.params.act)
})
app.use((error, _req, res, next) => (res.headersSent ? next(error) : res.sendStatus(500)))
app.set('env', 'test') // prints nothing

fastify.get('/fastify/:act', async (request, reply) => {
  reply.send('ok')
  await work(request.params.act)
})
fastify.addHook('onResponse', async ({ params, routeOptions }) => {
  if (routeOptions.url === '/fastify/hook/:act') await work(params.act)
})
fastify.get('/fastify/hook/:act', async () => 'ok')
const ofRoute = (request, _reply, done) => callbackify(work)(request.params.act, done)
fastify.get('/fastify/route/:act', { onResponse: [async () => {}, ofRoute] }, async () => 'ok')
fastify.get('/fastify/raw/:act', (request, reply) => {
  reply.raw.end('ok')
  end(request.params.act)
})
const koa = new Koa()
koa.silent = true
koa.use(async ({ path, res }) => {
  res.writeHead(200).end('ok')
  await work(path.split('/')[2])
})
fastify.ready(() => {
  const others = { fastify: fastify.routing, koa: koa.callback() }
  const server = require('node:http').createServer((req, res) => (others[req.url.split('/')[1]] ?? app)(req, res))
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
})
