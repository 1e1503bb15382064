// A service with a request and a piece of background work that end when /release is asked.
module.exports = function start({ createServer, track }) {
  const waiting = []
  const server = createServer((request, response) => {
    if (request.url === '/slow') waiting.push(() => response.end('slow'))
    else if (request.url === '/promise') {
      void track('send mail', async () => {
        await new Promise((resolve) => waiting.push(resolve))
        console.log('mail sent')
      })
      response.end('promised')
      return
    } else if (request.url === '/release') {
      response.end('released')
      for (const end of waiting) end()
    } else if (request.url === '/term') {
      process.kill(process.pid, 'SIGTERM')
      response.end('sent')
    } else response.end('ok')
    console.log(`got ${request.url}`)
  })
  if (process.env.OWN_HANDLER)
    process.once('SIGTERM', () => {
      console.log('own handler')
      server.close(() => process.exit(5))
    })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
