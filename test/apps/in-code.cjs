// How much is loaded by the name of each package that an app may import.
for (const name of ['@afterspan/core', '@afterspan/health', '@afterspan/async-tracker', 'afterspan']) {
  const before = Object.keys(require.cache).length
  require(name)
  console.log(`${name} ${Object.keys(require.cache).length - before}`)
}
