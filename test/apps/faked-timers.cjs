// Node's timers are replaced, as tests do it by sinon: they never fire. Prints the port, and what was asked of them when it is told to.
const http = require('node:http')

const asked = []
for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'queueMicrotask'])
  globalThis[name] = () => {
    asked.push(new Error(name).stack)
    return { ref() {}, unref() {} }
  }
const server = http.createServer((req, res) => res.end(JSON.stringify(asked)))
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
