// Answers, and leaves the rest to waitUntil().
import { setImmediate as soon } from 'node:timers/promises'
import { H3, serve } from 'h3'

const fail = async () => {
  await soon()
  throw new TypeError('no receipt')
}
const app = new H3()
app.get('/done', (event) => {
  event.waitUntil(soon())
  return 'ok'
})
app.get('/fails', (event) => {
  event.waitUntil(fail())
  return 'ok'
})
app.get('/plain', () => 'ok')
const server = serve(app, { port: 0, hostname: '127.0.0.1', silent: true, gracefulShutdown: false })
await server.ready()
console.log(`listening ${new URL(server.url).port}`)
