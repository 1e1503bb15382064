// What the parent of an app is told over IPC: that it listens, and CPU and memory, also whenever it asks.
/** Of a server that is about to listen. */
exports.tellUsage = function tellUsage(server) {
  const tell = (kind, more = {}) => {
    const { user, system } = process.cpuUsage()
    process.send({ kind, cpuMs: (user + system) / 1000, rss: process.memoryUsage.rss(), ...more })
  }
  const listening = () => tell('listening', { port: server.address().port })
  if (server.listening) listening()
  else server.once('listening', listening)
  process.on('message', (message) => {
    if (message === 'usage') tell('usage')
  })
}
