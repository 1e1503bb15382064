/** Any answer to any path: what no router has, a status and a delay, is asked for in the query. */
module.exports = function start(http) {
  const server = http.createServer((req, res) => {
    const { searchParams } = new URL(req.url, 'http://x')
    res.statusCode = Number(searchParams.get('status') ?? 200)
    res.end()
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
