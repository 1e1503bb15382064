// Answers, and puts its work off until later.
const { createServer } = require('node:http')
const LATER_MS = 50_000

module.exports = ({ sleep, moduleTimeout }) => {
  let kept
  const ways = {
    callback: (done) => {
      setTimeout(() => console.log('never'), LATER_MS)
      done()
    },
    module: (done) => {
      done()
      moduleTimeout(() => console.log('never'), LATER_MS)
    },
    sleep: async (done) => {
      done()
      await sleep(LATER_MS)
    },
    promised: async (done) => {
      done()
      await new Promise((resolve) => setTimeout(resolve, 1))
      await new Promise((resolve) => setTimeout(resolve, LATER_MS))
    },
    tracked: (done) => {
      void require('afterspan').track('tracked', new Promise(() => {}))
      done()
    },
    soon: (done) => {
      setTimeout(() => console.log('done soon'), 1_000)
      done()
    },
    // One that has run is kept, and set again when another has its place.
    kept: (done) => {
      kept = setTimeout(() => console.log('kept has run'), 1)
      done()
    },
    again: (done) => {
      kept.refresh()
      done()
    },
    // None of these is work that is lost.
    ran: (done) => {
      setTimeout(() => console.log('ran'), 1)
      done()
    },
    slept: async (done) => {
      done()
      await sleep(1)
      console.log('slept')
    },
    cleared: (done) => {
      const timer = setTimeout(() => console.log('never'), LATER_MS)
      setTimeout(() => {
        clearTimeout(timer)
        console.log('cleared')
      }, 1)
      done()
    },
    aborted: (done) => {
      const stop = new AbortController()
      done()
      sleep(LATER_MS, undefined, { signal: stop.signal }).catch(({ name }) => console.log(name))
      setTimeout(() => stop.abort(), 1)
    },
    // A limit of time for what the answer waits for, and that nobody clears.
    limit: async (done) => {
      setTimeout(() => console.log('never'), LATER_MS)
      await new Promise((resolve) => setTimeout(resolve, 5))
      done()
    },
    // The connection of a pool that goes when it is idle.
    library: (done) => {
      require(process.env.LIBRARY)(LATER_MS)
      done()
    },
    unheld: (done) => {
      setTimeout(() => console.log('never'), LATER_MS).unref()
      done()
    },
    long: (done) => {
      setTimeout(() => console.log('never'), 60_000)
      done()
    },
  }
  const server = createServer((request, response) => {
    const [, way] = request.url.split('/')
    if (way === 'kill') process.kill(process.pid, 'SIGKILL')
    else if (way === 'exit') process.exit(0)
    else void ways[way](() => response.end('done'))
  })
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`))
}
