// As many listeners on each event of the process as it is told to add.
const before = process.getMaxListeners()
for (const event of ['exit', 'uncaughtExceptionMonitor', 'SIGTERM', 'SIGHUP', 'unhandledRejection'])
  for (let n = 0; n < Number(process.argv[2]); n++) process.on(event, () => {})
setImmediate(() => {
  console.log(`${before}, then ${process.getMaxListeners()}`)
  process.exit()
})
