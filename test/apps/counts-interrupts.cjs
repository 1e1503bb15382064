// Says how often it was interrupted when it is asked to end.
let interrupts = 0
process.on('SIGINT', () => console.log(`interrupted ${++interrupts}`))
process.on('SIGTERM', () => {
  console.log(`interrupts: ${interrupts}`)
  process.exit(0)
})
setInterval(() => {}, 60_000)
console.log(`started by ${process.ppid}`)
