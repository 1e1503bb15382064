module.exports = function start(http) {
  const server = http.createServer((request, response) => {
    response.setHeader('x-app', 'yes')
    response.end(`app: ${request.method} ${request.url}, ${Object.keys(server).includes('emit')}`)
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
