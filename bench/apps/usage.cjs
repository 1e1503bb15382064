// What the parent of an app is told over IPC: that it listens, and CPU and memory, also whenever it asks.
/** Of a server that is about to listen; `more` is told with that it does. */
exports.tellUsage = function tellUsage(server, more = {}) {
  const tell = (kind, said = {}) => {
    const { user, system } = process.cpuUsage()
    process.send({ kind, cpuMs: (user + system) / 1000, rss: process.memoryUsage.rss(), ...said })
  }
  const listening = () => tell('listening', { port: server.address().port, ...more })
  if (server.listening) listening()
  else server.once('listening', listening)
  process.on('message', (message) => {
    if (message === 'usage') tell('usage')
  })
}
